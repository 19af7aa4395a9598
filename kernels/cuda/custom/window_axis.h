// Index maths of windows that slide over images in channels_last (pooling, depthwise convolution),
// host and device; tested exhaustively. Backward passes gather: each input element asks which
// windows hold it, so nothing is added atomically.
#pragma once
#include "graft/kernels/cuda/custom/pixel_grid.h"
#include "graft/kernels/ops/window.h"

namespace graft::cuda {

// One axis of a window over `in` elements with `out` positions.
struct WindowAxis {
  int in, out, taps, stride, pad, end,
      dilation;  // pad before the first element, end behind the last
  Divisor by_stride;

  static WindowAxis of(int64_t in, int64_t out, const ops::Window& window, size_t axis) {
    return {static_cast<int>(in),
            static_cast<int>(out),
            static_cast<int>(window.kernel[axis]),
            static_cast<int>(window.stride[axis]),
            static_cast<int>(window.pad_begin[axis]),
            static_cast<int>(window.pad_end[axis]),
            static_cast<int>(window.dilation[axis]),
            Divisor::of(window.stride[axis])};
  }
  // The input element under tap `tap` of output `at`; -1 in the padding.
  GRAFT_HD int input(int at, int tap) const {
    const int i = at * stride + tap * dilation - pad;
    return static_cast<uint32_t>(i) < static_cast<uint32_t>(in) ? i : -1;
  }
  // The output whose tap `tap` lies on input element `at`; -1: none.
  GRAFT_HD int output(int at, int tap) const {
    const int from = at + pad - tap * dilation;
    if (from < 0) return -1;
    const auto i = static_cast<int>(by_stride.quotient(static_cast<uint32_t>(from)));
    return i * stride == from && i < out ? i : -1;
  }
  // Outputs [first, last] are those whose windows, dilation filled in, reach over input element
  // `at`.
  GRAFT_HD int first(int at) const {
    const int from = at + pad - (taps - 1) * dilation;
    return from <= 0
               ? 0
               : static_cast<int>(by_stride.quotient(static_cast<uint32_t>(from + stride - 1)));
  }
  GRAFT_HD int last(int at) const {
    const auto i = static_cast<int>(by_stride.quotient(static_cast<uint32_t>(at + pad)));
    return i < out ? i : out - 1;
  }
  // Whether output `i`'s window has a tap on input element `at`, where i is in [first(at),
  // last(at)].
  GRAFT_HD bool holds(int i, int at) const {
    return dilation == 1 || (at + pad - i * stride) % dilation == 0;
  }
  // How many of output `at`'s taps an average counts: those on elements, and with `padded` those on
  // padding too.
  GRAFT_HD int counted(int at, bool padded) const {
    int count = 0;
    for (int tap = 0; tap < taps; ++tap) {
      const int i = at * stride + tap * dilation - pad;
      count += padded ? i < in + end : i >= 0 && i < in;
    }
    return count;
  }
};

// Adaptive pooling along one axis: output cell i averages input [begin, end).
struct AdaptiveAxis {
  int in, out;
  Divisor by_in, by_out;
  static AdaptiveAxis of(int64_t in, int64_t out) {
    return {static_cast<int>(in), static_cast<int>(out), Divisor::of(in), Divisor::of(out)};
  }
  GRAFT_HD int begin(int i) const { return quotient(by_out, i * in); }
  GRAFT_HD int end(int i) const { return quotient(by_out, (i + 1) * in + out - 1); }
  GRAFT_HD int width(int i) const { return end(i) - begin(i); }
  // The output cells that hold input element `at` are [first, last].
  GRAFT_HD int first(int at) const { return quotient(by_in, at * out); }
  GRAFT_HD int last(int at) const { return quotient(by_in, (at + 1) * out + in - 1) - 1; }

 private:
  GRAFT_HD static int quotient(const Divisor& by, int value) {
    return static_cast<int>(by.quotient(static_cast<uint32_t>(value)));
  }
};

}  // namespace graft::cuda
