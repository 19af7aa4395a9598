#include "graft/tools/pixel_flag.h"

#include <CLI/CLI.hpp>

#include "graft/io/images/image.h"
#include "graft/tools/flag_values.h"

namespace graft::tools {

void add_pixel_flag(CLI::App& verb) {
  verb.add_option_function<int64_t>(
          "--max-pixels", [](const int64_t& pixels) { io::set_image_pixel_limit(pixels); },
          "Pixels that an image may have, width x height; larger ones count as broken (default "
          "178956970, Pillow's limit)")
      ->transform(whole_number(1, uint64_t{1} << 33))
      ->type_name("N");
}

}  // namespace graft::tools
