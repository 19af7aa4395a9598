// A data set of files (images, or another kind), each with its label: what class folders and CSVs
// become.
#pragma once
#include <optional>

#include "graft/io/datasets/dataset.h"

namespace graft::io {

struct LabelledFile {
  std::string path{};
  std::string short_name{};  // below the data set's folder
  int64_t label = 0;
  std::optional<std::vector<int64_t>> labels{};  // ascending, where samples have several
  std::vector<double> numbers{};
  std::string group{};
  std::optional<std::string> text{};  // where samples are answered by one
};

GRAFT_API std::shared_ptr<const Dataset> file_dataset(std::vector<LabelledFile> files,
                                                      FileKind kind = {});

}  // namespace graft::io
