#include "graft/tools/mask_flags.h"

#include <CLI/CLI.hpp>

namespace graft::tools {

void add_mask_flags(CLI::App& verb, io::MaskOptions& masks) {
  verb.add_option("--ignore-value", masks.ignored,
                  "Of masks: pixels of this value count for nothing; a number, or a color as "
                  "#ff0080 (default: every value counts)")
      ->type_name("VALUE");
  verb.add_option("--foreground", masks.foreground,
                  "Of masks of two values: the one that is looked for (default: the higher)")
      ->type_name("VALUE");
}

}  // namespace graft::tools
