// --image-column, --label-column, --split-column and --root: how a table of images is read, on
// every verb that takes data.
#pragma once
#include "graft/io/datasets/dataset.h"

namespace CLI {
class App;
}

namespace graft::tools {

void add_column_flags(CLI::App& verb, io::TableColumns& columns);

}  // namespace graft::tools
