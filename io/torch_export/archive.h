// An export archive among other zip archives, and as a file of weights.
#pragma once
#include <vector>

#include "graft/io/torch_export/program.h"
#include "graft/io/weights/weights.h"
#include "graft/io/weights/zip.h"

namespace graft::io {

bool is_export_archive(const std::vector<ZipMember>& members);
WeightFile read_export_weights(File& file, const ReadLimits& limits);

}  // namespace graft::io
