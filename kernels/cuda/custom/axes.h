// Axes: a walk over some axes of a tensor in memory, fastest first: from a running number to an
// offset. Neighbouring axes that lie behind one another in memory become one, so that most walks
// divide by nothing. Index maths, host and device.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

struct Axes {
  int count = 0;
  int64_t extent[Shape::max_rank]{}, stride[Shape::max_rank]{};

  // An axis slower than those before it.
  void add(int64_t axis_extent, int64_t axis_stride) {
    if (axis_extent == 1) return;
    if (count > 0 && axis_stride == stride[count - 1] * extent[count - 1]) {
      extent[count - 1] *= axis_extent;
      return;
    }
    extent[count] = axis_extent;
    stride[count++] = axis_stride;
  }

  GRAFT_HD int64_t offset(int64_t i) const {
    int64_t at = 0;
    for (int axis = 0; axis + 1 < count; ++axis) {
      at += i % extent[axis] * stride[axis];
      i /= extent[axis];
    }
    return count > 0 ? at + i * stride[count - 1] : 0;
  }
};

// The tensor's axes in its memory order, the fastest first.
inline int axis_in_memory(const Tensor& t, int place) {
  constexpr int last[] = {1, 3, 2, 0};
  return t.format() == MemoryFormat::channels_last ? last[place] : t.rank() - 1 - place;
}
// In elements.
inline int64_t stride_in_memory(const Tensor& t, int axis) {
  int64_t stride = 1;
  for (int place = 0; axis_in_memory(t, place) != axis; ++place)
    stride *= t.shape()[axis_in_memory(t, place)];
  return stride;
}

}  // namespace graft::cuda
