// Window: the sliding window that convolution and pooling share, over 1 to 3 spatial axes, with its
// shape rule.
#pragma once
#include <array>
#include <cstdint>

#include "graft/core/tensor/shape.h"

namespace graft::ops {

using Spatial = std::array<int64_t, 3>;  // only the first `axes` entries mean anything

struct Window {
  int axes = 2;
  Spatial kernel{1, 1, 1};
  Spatial stride{1, 1, 1};
  Spatial dilation{1, 1, 1};
  Spatial pad_begin{0, 0, 0};
  Spatial pad_end{0, 0, 0};

  bool operator==(const Window&) const = default;
};

// A 2-D window with the same number on both axes and sides.
inline Window square_window(int64_t kernel, int64_t stride = 1, int64_t padding = 0,
                            int64_t dilation = 1) {
  Window window;
  window.kernel = {kernel, kernel, 1};
  window.stride = {stride, stride, 1};
  window.dilation = {dilation, dilation, 1};
  window.pad_begin = window.pad_end = {padding, padding, 0};
  return window;
}

// Extent of the output along `axis` for an input extent: floor((in + pads - dilation*(kernel-1) -
// 1) / stride) + 1. ceil_mode rounds up and drops a last window that would start in the end padding
// (PyTorch's rule). bad_input (naming `op`) for strides, dilations or kernels < 1, negative pads,
// or an input smaller than the window.
GRAFT_API int64_t window_output_extent(const char* op, const Window& window, int axis, int64_t in,
                                       bool ceil_mode = false);

}  // namespace graft::ops
