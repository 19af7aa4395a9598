#include "graft/io/weights/strided_elements.h"

#include <array>

namespace graft::io {
namespace {

void gather_elements(std::span<const std::byte> in, std::span<std::byte> out,
                     const StridedElements& elements, size_t size) {
  std::array<int64_t, Shape::max_rank> index{};
  int64_t source = 0;
  for (size_t done = 0; done < out.size(); done += size) {
    std::memcpy(out.data() + done, in.data() + static_cast<size_t>(source) * size, size);
    for (size_t axis = elements.sizes.size(); axis-- > 0;) {
      source += elements.strides[axis];
      if (++index[axis] < elements.sizes[axis]) break;
      source -= elements.strides[axis] * elements.sizes[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

bool StridedElements::is_contiguous() const {
  int64_t expected = 1;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    if (sizes[axis] != 1 && strides[axis] != expected) return false;
    expected *= sizes[axis];
  }
  return true;
}

int64_t StridedElements::end() const {
  int64_t last = offset;
  for (size_t axis = 0; axis < sizes.size(); ++axis)
    last = checked_add(last, checked_mul(sizes[axis] - 1, strides[axis]));
  return checked_add(last, 1);
}

Tensor read_strided(File& file, int64_t begin, StoredType type, const Shape& shape,
                    const StridedElements& elements, MemoryBudget& read_budget) {
  const int64_t size = stored_size(type);
  return read_elements(type, shape, [&](std::span<std::byte> out) {
    if (out.empty()) return;
    const int64_t first = begin + elements.offset * size;
    const int64_t bytes = elements.is_contiguous() ? static_cast<int64_t>(out.size())
                                                   : (elements.end() - elements.offset) * size;
    read_budget.charge(bytes);
    if (elements.is_contiguous()) return file.read_at(first, out);
    std::vector<std::byte> stored(static_cast<size_t>(bytes));
    file.read_at(first, stored);
    gather_elements(stored, out, elements, static_cast<size_t>(size));
  });
}

}  // namespace graft::io
