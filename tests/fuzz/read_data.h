// Opens a data set as the command does and reads its first samples; what the fuzz targets of data
// sets share.
#pragma once
#include <algorithm>
#include <string>

#include "graft/io/datasets/dataset.h"
#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/split_files.h"
#include "graft/tests/fuzz/target.h"

namespace graft::fuzz {

inline void read_data(MemoryFileSystem& files, const std::string& path) {
  const ScopedFileSystem scope(files);
  const io::OpenedData data = io::open_data(path);
  for (const auto& part : {data.train, data.val}) {
    if (!part) continue;
    for (int64_t i = 0; i < std::min<int64_t>(part->size(), 4); ++i) {
      if (part->label(i) < 0 || part->label(i) >= std::ssize(data.classes))
        fail(ErrorCode::internal, "label ", part->label(i), " of ", data.classes.size(),
             " classes");
      part->image(i);
    }
  }
}

}  // namespace graft::fuzz
