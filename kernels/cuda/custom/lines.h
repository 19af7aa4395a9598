// Lines: a tensor as lines along one axis, whatever its layout; what softmax and the ordering
// operations walk. Index maths, host and device.
#pragma once
#include <algorithm>

#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/launch.h"

namespace graft::cuda {

struct Lines {
  int64_t count = 0, extent = 0, step = 1;  // lines, elements of one, and their distance in memory

  GRAFT_HD int64_t begin(int64_t line) const { return line / step * extent * step + line % step; }

  static Lines of(const Tensor& t, int axis) {
    Lines lines{0, t.shape()[axis], stride_in_memory(t, axis)};
    lines.count = lines.extent ? t.numel() / lines.extent : t.shape().with(axis, 1).numel();
    return lines;
  }
  // Neighbouring threads take neighbouring lines, or a block takes a line.
  bool thread_each() const { return step > 1 || extent < 32; }
  // Of a block for a line whose threads take `each` elements at a time.
  int threads(int64_t each) const {
    return static_cast<int>(
        std::clamp<int64_t>(ceil_div(extent, each * 4 * 32) * 32, 32, kThreads));
  }
};

}  // namespace graft::cuda
