// How reference kernels reach elements: by logical index, whatever the layout, in an accumulation type.
#pragma once
#include <array>
#include <type_traits>

#include "graft/core/tensor/tensor.h"

namespace graft::reference {

// What sums are kept in: double for double, float for the floats (contract), int64 for integers.
template <class T>
using Accumulator =
    std::conditional_t<std::is_same_v<T, double>, double, std::conditional_t<std::is_integral_v<T>, int64_t, float>>;

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

}  // namespace graft::reference
