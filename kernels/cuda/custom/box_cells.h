// BoxCells: one side of roi_align's box: its cells, the samples of each, and the two pixels that a
// sample lies between. Index maths, host and device.
#pragma once
#include <cmath>

#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/sample.h"

namespace graft::cuda {

struct CellSample {
  int64_t low = 0, high = 0;  // pixels
  float fraction = 0;         // of the way from one to the other
  bool inside = false;        // not outside of the image by more than a pixel
};

struct BoxCells {
  float begin = 0, cell = 0;  // in pixels
  int64_t extent = 1, samples = 0;
  float end = 0;
  bool sane = false;  // boxes of thousands of pixels a cell are refused

  // `from` and `to`: the box's sides in image coordinates; `count` cells.
  GRAFT_HD static BoxCells of(float from, float to, int64_t count, int64_t extent,
                              const ops::RoiAlignAttributes& a) {
    const float shift = a.half_pixel ? 0.5f : 0.f, scale = static_cast<float>(a.spatial_scale);
    BoxCells cells;
    cells.begin = from * scale - shift;
    float length = to * scale - shift - cells.begin;
    if (!a.half_pixel && length < 1) length = 1;
    cells.cell = length / static_cast<float>(count);
    cells.extent = extent;
    cells.end = cells.begin + length;
    cells.sane = fabsf(cells.cell) < 4096;
    if (!cells.sane) return cells;
    const auto needed = static_cast<int64_t>(ceilf(cells.cell));
    cells.samples = a.sampling_ratio > 0 ? a.sampling_ratio : needed > 0 ? needed : 0;
    return cells;
  }

  GRAFT_HD CellSample sample(int64_t of_cell, int64_t i) const {
    const float u = begin + static_cast<float>(of_cell) * cell +
                    (static_cast<float>(i) + 0.5f) * cell / static_cast<float>(samples);
    CellSample s;
    if (!(u >= -1 && u <= static_cast<float>(extent))) return s;
    const float at = u > 0 ? u : 0.f;
    s.inside = true;
    s.low = static_cast<int64_t>(at) < extent - 1 ? static_cast<int64_t>(at) : extent - 1;
    s.high = s.low + 1 < extent ? s.low + 1 : s.low;
    s.fraction = s.low == extent - 1 ? 0.f : at - static_cast<float>(s.low);
    return s;
  }
  // The sum of the weights with which a cell's samples read a pixel.
  GRAFT_HD float weight(int64_t of_cell, int64_t pixel) const {
    float sum = 0;
    for (int64_t i = 0; i < samples; ++i) {
      const CellSample s = sample(of_cell, i);
      if (!s.inside) continue;
      if (s.low == pixel) sum += 1 - s.fraction;
      if (s.high == pixel) sum += s.fraction;
    }
    return sum;
  }
  // False when no sample can read the pixel.
  GRAFT_HD bool reaches(int64_t pixel) const {
    const float low = fminf(begin, end) - 2, high = fmaxf(begin, end) + 2;
    return static_cast<float>(pixel) >= low && static_cast<float>(pixel) <= high;
  }
};

}  // namespace graft::cuda
