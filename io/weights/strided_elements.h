// Tensors that files describe as PyTorch does: elements at offset + sum(index * stride) of a
// storage.
#pragma once
#include <vector>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {

struct StridedElements {
  int64_t offset = 0;  // in elements, from the start of the storage
  std::vector<int64_t> sizes{}, strides{};

  bool is_contiguous() const;
  int64_t end() const;  // one past the last element that is touched; no size is 0
};

// Reads them from the storage that begins at byte `begin` of the file, into C order. The caller has
// checked that end() lies within it; the bytes read are charged.
Tensor read_strided(File& file, int64_t begin, StoredType type, const Shape& shape,
                    const StridedElements& elements, MemoryBudget& read_budget);

}  // namespace graft::io
