// Which of two numbers an ordering operation takes first, on host and device: NaN counts as the
// largest (topk), or as the extreme that is looked for (arg_extreme).
#pragma once
#include <cstdint>

#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

// a comes before b when looking for the largest (or smallest). A: float or int64.
template <class A>
GRAFT_HD bool comes_first(A a, A b, bool largest) {
  if (a != a || b != b) return largest ? a != a && b == b : a == a && b != b;
  return largest ? a > b : a < b;
}
// Of elements with their positions: of equal ones that with the lower position.
template <class A>
GRAFT_HD bool comes_first(A a, int64_t at_a, A b, int64_t at_b, bool largest) {
  return comes_first(a, b, largest) || (!comes_first(b, a, largest) && at_a < at_b);
}

// A candidate for the extreme of a line; position -1: none.
template <class A>
struct Extreme {
  A value;
  int64_t at;
};
template <class A>
GRAFT_HD Extreme<A> better_extreme(Extreme<A> a, Extreme<A> b, bool largest, bool last) {
  if (a.at < 0) return b;
  if (b.at < 0) return a;
  const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
  if (nan_a != nan_b) return nan_a ? a : b;
  if (!nan_a && a.value != b.value)
    return (largest ? a.value > b.value : a.value < b.value) ? a : b;
  return (a.at < b.at) != last ? a : b;
}

}  // namespace graft::cuda
