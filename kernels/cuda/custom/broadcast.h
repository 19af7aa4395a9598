// Broadcast: where an element of a result finds its two inputs when shapes or layouts differ. Index maths, host and device.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

struct Offsets {
  int64_t a = 0, b = 0;
};

// Axes in the result's memory order, the fastest first; a stride of 0 where an input is stretched.
struct Broadcast {
  int axes = 0;
  int64_t extent[Shape::max_rank]{}, stride_a[Shape::max_rank]{}, stride_b[Shape::max_rank]{};

  GRAFT_HD Offsets offsets(int64_t i) const {
    Offsets at;
    for (int axis = 0; axis < axes; ++axis) {
      const int64_t place = i % extent[axis];
      i /= extent[axis];
      at.a += place * stride_a[axis];
      at.b += place * stride_b[axis];
    }
    return at;
  }

  // Shapes broadcast as in NumPy, aligned at their last axes.
  static Broadcast of(const Tensor& a, const Tensor& b, const Tensor& y) {
    Broadcast walk;
    const int rank = y.rank();
    const auto stride_of = [rank](const Tensor& t, int axis) -> int64_t {  // of y's axis
      const int own = axis - (rank - t.rank());
      if (own < 0 || t.shape()[own] == 1) return 0;
      if (t.format() == MemoryFormat::contiguous) return t.shape().product(own + 1, t.rank());
      const int64_t c = t.shape()[1], w = t.shape()[3];
      return own == 1 ? 1 : own == 3 ? c : own == 2 ? c * w : c * w * t.shape()[2];
    };
    constexpr int last_order[] = {1, 3, 2, 0};
    for (int i = 0; i < rank; ++i) {
      const int axis = y.format() == MemoryFormat::contiguous ? rank - 1 - i : last_order[i];
      walk.extent[i] = y.shape()[axis];
      walk.stride_a[i] = stride_of(a, axis);
      walk.stride_b[i] = stride_of(b, axis);
    }
    walk.axes = rank;
    return walk;
  }
};

}  // namespace graft::cuda
