#include "graft/tools/resize_flag.h"

#include <CLI/CLI.hpp>

#include "graft/core/base/error.h"

namespace graft::tools {

void add_resize_flag(CLI::App& verb, std::string& resize) {
  verb.add_option(
          "--resize", resize,
          "How images that are not square enter the network: crop (the middle), squash, "
          "pad (all of it, on black), or of models that segment window (windows of the "
          "network's size at the image's own scale, which cover it); default: the model's own way")
      ->check(CLI::IsMember({"crop", "squash", "pad", "window"}))
      ->type_name("HOW");
}

void add_window_flag(CLI::App& verb, std::string& window) {
  verb.add_option("--window", window,
                  "Grey of more than 8 bits (PNG, TIFF, DICOM, NIfTI): CENTRE - WIDTH / 2 becomes "
                  "black, CENTRE + WIDTH / 2 white (default: the model's; without one what each "
                  "format does is said)")
      ->check([](const std::string& text) {
        try {
          (void)io::grey_window(text);
          return std::string();
        } catch (const Error& error) {
          return std::string(error.what());
        }
      })
      ->type_name("CENTRE,WIDTH");
}

void apply_window(io::Preprocess& preprocess, const std::string& window) {
  if (!window.empty()) preprocess.window = io::grey_window(window);
}

void apply_image_size(io::Preprocess& preprocess, const std::string& sides) {
  if (sides.empty()) return;
  GRAFT_CHECK(preprocess.input.empty(), "--image-size is for images, the samples are input ",
              preprocess.input);
  const auto [height, width] = io::image_sides(sides);
  preprocess.set_size(height, width);
}

void apply_whole(io::Preprocess& preprocess) {
  if (preprocess.crops()) preprocess.set_fit("squash");
}

void apply_resize(io::Preprocess& preprocess, const std::string& resize) {
  if (resize.empty()) return;
  GRAFT_CHECK(preprocess.input.empty(), "--resize is for images, the samples are input ",
              preprocess.input);
  preprocess.set_fit(resize);
}

}  // namespace graft::tools
