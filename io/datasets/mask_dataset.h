// Images with a mask file each: what folders and tables of such pairs become.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/mask_values.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {

struct MaskedFile {
  std::string image{}, image_name{};  // its path; and below the data set's folder
  std::string mask{}, mask_name{};
};

struct MaskedPart {
  std::vector<MaskedFile> files{};
  std::string name{};  // of its folder
};

struct MaskedFiles {
  MaskedPart train{}, val{}, test{};

  MaskedPart& of(PartRole role) {
    return role == PartRole::val ? val : role == PartRole::test ? test : train;
  }
};

// Reads every mask once. Pairs whose mask cannot be read, or is of another size than its image, are
// left out and said, up to a share of each part (kToleratedBrokenShare); the values found in all
// parts together say what the classes are. folder: where names of classes may stand.
void read_masks(MaskedFiles files, const std::string& path, const std::string& folder,
                const MaskOptions& options, DataParts& parts);

}  // namespace graft::io
