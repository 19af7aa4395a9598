// Broadcast: where an element of a result finds those of K tensors whose shapes or layouts differ.
// Index maths, host and device.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

template <int K>
struct Offsets {
  int64_t at[K];
};

// Axes of a walk, the fastest first, with a stride for each tensor: 0 where it is stretched.
// Neighbouring axes that lie behind one another in all tensors become one.
template <int K>
struct Broadcast {
  int axes = 0;
  int64_t count = 1;  // elements of the walk
  int64_t extent[Shape::max_rank]{}, stride[K][Shape::max_rank]{};

  GRAFT_HD Offsets<K> offsets(int64_t i) const {
    Offsets<K> to{};
    for (int axis = 0; axis < axes; ++axis) {
      const int64_t place = axis + 1 < axes ? i % extent[axis] : i;
      i /= extent[axis];
      for (int k = 0; k < K; ++k) to.at[k] += place * stride[k][axis];
    }
    return to;
  }

  // An axis slower than those before it.
  void add(int64_t axis_extent, const int64_t (&strides)[K]) {
    count *= axis_extent;
    if (axis_extent == 1) return;
    bool behind = axes > 0;
    for (int k = 0; k < K && behind; ++k)
      behind = strides[k] == stride[k][axes - 1] * extent[axes - 1];
    if (behind) {
      extent[axes - 1] *= axis_extent;
      return;
    }
    extent[axes] = axis_extent;
    for (int k = 0; k < K; ++k) stride[k][axes] = strides[k];
    ++axes;
  }

  // Shapes broadcast to y's as in NumPy, aligned at their last axes; the walk follows y's memory.
  static Broadcast of(const Tensor* const (&tensors)[K], const Tensor& y) {
    Broadcast walk;
    for (int place = 0; place < y.rank(); ++place)
      walk.add_axis(tensors, y, axis_in_memory(y, place));
    return walk;
  }
  void add_axis(const Tensor* const (&tensors)[K], const Tensor& y, int axis) {
    int64_t strides[K];
    for (int k = 0; k < K; ++k) {
      const Tensor& t = *tensors[k];
      const int own = axis - (y.rank() - t.rank());
      strides[k] = own < 0 || t.shape()[own] == 1 ? 0 : stride_in_memory(t, own);
    }
    add(y.shape()[axis], strides);
  }
};

// How a sum over the axes that `to` was stretched along walks: `kept` follows to's memory, `summed`
// the rest of y's.
template <int K>
struct StretchedAxes {
  Broadcast<K> kept, summed;

  static StretchedAxes of(const Tensor& to, const Tensor* const (&tensors)[K], const Tensor& y) {
    StretchedAxes axes;
    const int added = y.rank() - to.rank();
    for (int place = 0; place < to.rank(); ++place) {
      const int axis = axis_in_memory(to, place) + added;
      if (to.shape()[axis - added] == y.shape()[axis]) axes.kept.add_axis(tensors, y, axis);
    }
    for (int place = 0; place < y.rank(); ++place) {
      const int axis = axis_in_memory(y, place);
      if (axis < added || to.shape()[axis - added] != y.shape()[axis])
        axes.summed.add_axis(tensors, y, axis);
    }
    return axes;
  }
};

// y = f(a, b) where a and b are stretched or lie in another order. F: a plain struct with `name`
// and an operator().
template <class T, class To, class F>
struct BinaryBroadcast {
  static constexpr const char* name = F::name;
  static constexpr int group = 1;
  Span<const T> a, b;
  Span<To> y;
  F f;
  Broadcast<2> walk;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Offsets<2> from = walk.offsets(i);
    y.store(i, f(a.load(from.at[0]), b.load(from.at[1])));
  }
};

}  // namespace graft::cuda
