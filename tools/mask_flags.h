// How the values of masks are read: the flags of every verb that opens images with masks.
#pragma once
#include "graft/io/datasets/dataset.h"

namespace CLI {
class App;
}

namespace graft::tools {

void add_mask_flags(CLI::App& verb, io::MaskOptions& masks);

}  // namespace graft::tools
