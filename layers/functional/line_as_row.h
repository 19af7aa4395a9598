// One spatial axis as images of one row: what a device's convolutions and pools, which know two
// axes, make of [N,C,L].
#pragma once
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/window.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/movement.h"

namespace graft::functional {

inline bool is_devices_line(const Tensor& x) { return x.rank() == 3 && !is_cpu(x.device()); }

// [N,C,L] -> [N,C,1,L], channels_last; and back.
inline Tensor as_row(const Tensor& x) {
  static constexpr int kRows[] = {2};
  return to_format(unsqueeze(x, kRows), MemoryFormat::channels_last);
}
inline Tensor as_line(const Tensor& x) {
  static constexpr int kRows[] = {2};
  return squeeze(x, kRows);
}
inline ops::Window along_row(const ops::Window& line) {
  ops::Window window;
  window.kernel = {1, line.kernel[0], 1};
  window.stride = {1, line.stride[0], 1};
  window.dilation = {1, line.dilation[0], 1};
  window.pad_begin = {0, line.pad_begin[0], 0};
  window.pad_end = {0, line.pad_end[0], 0};
  return window;
}
// Attributes with such a window.
template <class Attributes>
Attributes along_row(Attributes attributes) {
  attributes.window = along_row(attributes.window);
  return attributes;
}

}  // namespace graft::functional
