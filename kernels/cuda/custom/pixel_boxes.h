// A window over images as the copy engine walks it (im2col): which pixels a list of them begins
// with, and what a tap adds. Host and device; tested exhaustively beside WindowMap.
#pragma once
#include "graft/kernels/cuda/custom/tensor_operands.h"
#include "graft/kernels/cuda/device/warpgroup.h"
#include "graft/kernels/cuda/gpu/tensor_map.h"

namespace graft::cuda {

// One axis: positions walk from `lower` in steps, taps add what is never negative.
struct PixelAxis {
  int positions, step, lower, apart, taps;
  bool backwards;  // the first tap adds most

  static PixelAxis of(const ProductAxis& axis) {
    const bool backwards = axis.tap < 0;
    return {axis.positions,
            axis.step,
            axis.offset + (backwards ? axis.tap * (axis.taps - 1) : 0),
            backwards ? -axis.tap : axis.tap,
            axis.taps,
            backwards};
  }
  GRAFT_HD int start(int position) const { return lower + position * step; }
  GRAFT_HD int offset(int tap) const { return (backwards ? taps - 1 - tap : tap) * apart; }
  // The walk's last position, counted from the last of the image.
  int64_t upper(int64_t extent) const {
    return lower + (int64_t{positions} - 1) * step - (extent - 1);
  }
  // Whether a map can say it.
  bool fits(int64_t extent) const {
    return positions > 0 && step <= 8 && lower >= -128 && lower <= 127 && upper(extent) >= -128 &&
           upper(extent) <= 127 && int64_t{apart} * (taps - 1) <= 255;
  }
};

struct PixelWindow {
  PixelAxis rows, columns;
  // Channels from c on of the pixels from number `pixel` on, through a tap.
  GRAFT_HD PixelPlace place(int c, int pixel, int r, int s) const {
    const unsigned q = static_cast<unsigned>(columns.positions),
                   p = static_cast<unsigned>(rows.positions), m = static_cast<unsigned>(pixel);
    return {c,
            columns.start(static_cast<int>(m % q)),
            rows.start(static_cast<int>(m / q % p)),
            static_cast<int>(m / q / p),
            columns.offset(s),
            rows.offset(r)};
  }
  // The map of images [n, h, w, c] at `data` for lists of `pixels`.
  gpu::PixelMap map(const void* data, int64_t n, int64_t h, int64_t w, int64_t c,
                    int pixels) const {
    return {data,
            c,
            w,
            h,
            n,
            pixels,
            columns.lower,
            rows.lower,
            static_cast<int>(columns.upper(w)),
            static_cast<int>(rows.upper(h)),
            columns.step,
            rows.step};
  }
};

}  // namespace graft::cuda
