// How reference kernels reach elements: by logical index, whatever the layout, in an accumulation
// type.
#pragma once
#include <array>
#include <type_traits>

#include "graft/core/tensor/tensor.h"

namespace graft::reference {

// What sums are kept in: double for double, float for the floats (contract), int64 for integers.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, double>, double,
                                       std::conditional_t<std::is_integral_v<T>, int64_t, float>>;

// Element strides of a tensor [N,C,D,H,W], where absent spatial axes count as 1.
struct Strides5 {
  int64_t n, c, d, h, w;
  int64_t operator()(int64_t in, int64_t ic, int64_t id, int64_t ih, int64_t iw) const {
    return in * n + ic * c + id * d + ih * h + iw * w;
  }
};
struct Extents5 {
  int64_t n, c, d, h, w;
};

// Spatial axes are aligned to the right: rank 3 is [N,C,W], rank 4 [N,C,H,W].
inline Extents5 extents5(const Shape& s) {
  const int r = s.rank();
  return {s[0], s[1], r > 4 ? s[r - 3] : 1, r > 3 ? s[r - 2] : 1, r > 2 ? s[r - 1] : 1};
}
inline Strides5 strides5(const Tensor& t) {
  const Extents5 e = extents5(t.shape());
  if (t.format() == MemoryFormat::channels_last) return {e.h * e.w * e.c, 1, 0, e.w * e.c, e.c};
  return {e.c * e.d * e.h * e.w, e.d * e.h * e.w, e.h * e.w, e.w, 1};
}

using Index = std::array<int64_t, Shape::max_rank>;

// Element strides per axis, for any rank and layout.
inline Index element_strides(const Tensor& t) {
  const Shape& s = t.shape();
  if (t.format() == MemoryFormat::channels_last) return {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
  Index strides{};
  int64_t step = 1;
  for (int axis = s.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = step;
    step *= s[axis];
  }
  return strides;
}

inline int64_t offset_of(const Index& index, const Index& strides, int rank) {
  int64_t offset = 0;
  for (int axis = 0; axis < rank; ++axis)
    offset += index[static_cast<size_t>(axis)] * strides[static_cast<size_t>(axis)];
  return offset;
}

// Calls f(index) for every element of `shape`, last axis fastest.
template <class F>
void for_each_index(const Shape& shape, F&& f) {
  Index index{};
  for (int64_t i = 0; i < shape.numel(); ++i) {
    f(index);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      if (++index[a] < shape[axis]) break;
      index[a] = 0;
    }
  }
}

}  // namespace graft::reference
