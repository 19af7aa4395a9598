// The matrices that tensor cores multiply in a convolution: images seen through a window, and
// filters, walked along steps of the sum without a division. Host and device; tested exhaustively.
#pragma once
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// A position of a window and a channel in it. Steps run over channels first, then along s, then r.
struct Tap {
  int r, s, c;
  GRAFT_HD static Tap at(int step, int channels, int across) {
    return {step / channels / across, step / channels % across, step % channels};
  }
  GRAFT_HD void advance(int steps, int channels, int across) {
    for (c += steps; c >= channels; c -= channels)
      if (++s == across) s = 0, ++r;
  }
};

// One axis of a window: position i and tap j look at image position i * step + j * tap + offset.
// `taps` of them.
struct ProductAxis {
  int positions, step, tap, offset, taps;
};

// Forward: y's positions look at x.
inline ProductAxis forward_axis(int64_t positions, int64_t taps, int64_t stride, int64_t pad,
                                int64_t dilation) {
  return {static_cast<int>(positions), static_cast<int>(stride), static_cast<int>(dilation),
          static_cast<int>(-pad), static_cast<int>(taps)};
}

// Backward-data: the positions of dx whose number leaves `phase` when divided by the stride look at
// dy, each through the same taps of the filter: first, first + apart, ... (none: taps is 0). A
// stride of 2 so needs a quarter of the products.
struct PhaseAxis {
  ProductAxis axis;
  int first = 0, apart = 1;

  static PhaseAxis of(int64_t extent, int64_t phase, int64_t taps, int64_t stride, int64_t pad,
                      int64_t dilation) {
    PhaseAxis result{
        {static_cast<int>(ceil_div(std::max<int64_t>(extent - phase, 0), stride)), 1, 0, 0, 0}};
    int64_t apart = 1;  // taps that look at the same phase
    while (apart * dilation % stride != 0) ++apart;
    for (int64_t first = 0; first < std::min(apart, taps); ++first) {
      if ((phase + pad - first * dilation) % stride != 0) continue;
      result.axis.tap = static_cast<int>(-apart * dilation / stride);
      result.axis.offset = static_cast<int>((phase + pad - first * dilation) / stride);
      result.axis.taps = static_cast<int>(ceil_div(taps - first, apart));
      result.first = static_cast<int>(first), result.apart = static_cast<int>(apart);
      break;
    }
    return result;
  }
};

// Images [n, h, w, c] seen through a window.
struct WindowMap {
  ProductAxis rows, columns;
  int h, w, c;

  struct Pixel {
    int64_t image;  // the first element of its image
    int row, column;
  };
  GRAFT_HD Pixel pixel(int m) const {
    const unsigned q = static_cast<unsigned>(columns.positions),
                   p = static_cast<unsigned>(rows.positions), u = static_cast<unsigned>(m);
    return {static_cast<int64_t>(u / q / p) * h * w * c,
            static_cast<int>(u / q % p) * rows.step + rows.offset,
            static_cast<int>(u % q) * columns.step + columns.offset};
  }
  GRAFT_HD Tap tap(int step) const { return Tap::at(step, c, columns.taps); }
  GRAFT_HD int64_t at(const Pixel& pixel, const Tap& tap) const {  // -1 in the padding
    const int row = pixel.row + tap.r * rows.tap, column = pixel.column + tap.s * columns.tap;
    if (row < 0 || row >= h || column < 0 || column >= w) return -1;
    return pixel.image + (static_cast<int64_t>(row) * w + column) * c + tap.c;
  }
  GRAFT_HD int steps() const { return rows.taps * columns.taps * c; }
};

// Lines are pixels, steps are taps.
template <class T>
struct PixelsByTaps {
  static constexpr bool along_depth = true;
  using Line = WindowMap::Pixel;
  using Depth = Tap;
  Span<const T> elements;
  WindowMap map;
  GRAFT_HD Line line(int i) const { return map.pixel(i); }
  GRAFT_HD Depth depth(int i) const { return map.tap(i); }
  GRAFT_HD void advance(Depth& depth, int steps) const {
    depth.advance(steps, map.c, map.columns.taps);
  }
  GRAFT_HD int64_t at(const Line& line, const Depth& depth) const { return map.at(line, depth); }
};

// The same transposed: lines are taps, steps are pixels.
template <class T>
struct TapsByPixels {
  static constexpr bool along_depth = false;
  using Line = Tap;
  struct Depth {
    int m;
    WindowMap::Pixel pixel;
  };
  Span<const T> elements;
  WindowMap map;
  GRAFT_HD Line line(int i) const { return map.tap(i); }
  GRAFT_HD Depth depth(int i) const { return {i, map.pixel(i)}; }
  GRAFT_HD void advance(Depth& d, int steps) const { d = depth(d.m + steps); }
  GRAFT_HD int64_t at(const Line& line, const Depth& depth) const {
    return map.at(depth.pixel, line);
  }
};

// A matrix in memory. Line i starts at first + i * line_stride; a step is a tap (r, s, c) with
// strides of its own. A plain matrix has one tap with all steps in it.
template <class T, bool along_depth_>
struct StridedMatrix {
  static constexpr bool along_depth = along_depth_;
  using Line = int64_t;
  using Depth = Tap;
  Span<const T> elements;
  int64_t first, line_stride, r_stride, s_stride, c_stride;
  int taps_across, channels;
  GRAFT_HD Line line(int i) const { return first + i * line_stride; }
  GRAFT_HD Depth depth(int i) const { return Tap::at(i, channels, taps_across); }
  GRAFT_HD void advance(Depth& depth, int steps) const {
    depth.advance(steps, channels, taps_across);
  }
  GRAFT_HD int64_t at(Line line, const Depth& depth) const {
    return line + depth.r * r_stride + depth.s * s_stride + depth.c * c_stride;
  }
};

}  // namespace graft::cuda
