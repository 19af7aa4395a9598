// An export archive among other zip archives, and as a file of weights.
#pragma once
#include <vector>

#include "graft/io/torch_export/program.h"
#include "graft/io/weights/weights.h"
#include "graft/io/weights/zip.h"

namespace graft::io {

// A row of a table of stored tensors (<model>_weights_config.json).
struct ExportedTensor {
  std::string name{};
  std::string path{};  // of the member that holds its storage
  bool pickled = false;
  ExportedMeta meta{};
};
std::vector<ExportedTensor> parse_tensor_table(std::string_view text, const std::string& what,
                                               const ReadLimits& limits);

bool is_export_archive(const std::vector<ZipMember>& members);
WeightFile read_export_weights(File& file, const ReadLimits& limits);

}  // namespace graft::io
