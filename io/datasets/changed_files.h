// Image files that were written again while somebody worked with a data set.
#pragma once
#include <string>

#include "graft/io/datasets/dataset.h"

namespace graft::io {

// A sentence where image files differ, by size or time of writing, from when the data were opened:
// what was computed from them belongs to no one state of the data. "" where none does.
GRAFT_API std::string changed_files(const OpenedData& data);

}  // namespace graft::io
