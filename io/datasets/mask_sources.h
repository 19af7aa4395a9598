// Where images and their masks lie: folders beside each other, or a table of pairs.
#pragma once
#include <string>

#include "graft/io/datasets/sources.h"

namespace graft::io {

// What in the folder says that it holds images and masks ("images/ and masks/ hold files of the
// same names"); "": nothing does.
std::string why_masks(const std::string& folder);
// What in the table's first line says so: a column named mask, or like it.
std::string why_mask_table(const std::string& path, const TableColumns& columns);

// bad_input in a sentence where no pairs are found.
DataParts read_mask_folder(const std::string& path, const PartsWanted& wanted,
                           const MaskOptions& options);
DataParts read_mask_table(const std::string& path, const TableColumns& columns,
                          const PartsWanted& wanted, const MaskOptions& options);

}  // namespace graft::io
