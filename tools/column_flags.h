// --image-column, --label-column, --split-column and --root: how a table of images is read, on
// every verb that takes data.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"

namespace CLI {
class App;
}

namespace graft::tools {

void add_column_flags(CLI::App& verb, io::TableColumns& columns);
// --group-column and --group-pattern: which images belong together, on verbs that split data or
// judge by them.
void add_group_flags(CLI::App& verb, io::TableColumns& columns, std::string& pattern);
// The flags that say so, for a command line that is shown.
std::vector<std::string> column_words(const io::TableColumns& columns);

}  // namespace graft::tools
