// Grid places: which elements of a line an output of grid_sample reads, with weights and slopes.
// Index maths, host and device; in float, as torch's own kernels.
#pragma once
#include <cmath>

#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/sample.h"

namespace graft::cuda {

// Up to four elements of one axis, their weights and the weights' slopes in the grid's coordinate.
struct AxisSamples {
  int count = 0;
  int64_t at[4]{};  // -1: outside, counts as 0
  float weight[4]{}, slope[4]{};
  GRAFT_HD void add(int64_t position, float w, float s) {
    at[count] = position, weight[count] = w, slope[count++] = s;
  }
};

// Mirrors u into the image; `slope` is multiplied by the derivative.
GRAFT_HD float mirrored(float u, int64_t extent, bool align_corners, float& slope) {
  const float low = align_corners ? 0.f : -0.5f,
              span = static_cast<float>(align_corners ? extent - 1 : extent);
  if (span <= 0) return slope = 0;
  const float distance = fabsf(u - low), sign = u < low ? -1.f : 1.f;
  const float flips = floorf(distance / span), rest = distance - flips * span;
  const bool odd = fmodf(flips, 2.f) != 0;
  slope *= odd ? -sign : sign;
  return odd ? low + span - rest : low + rest;
}
GRAFT_HD float clamped(float u, int64_t extent, float& slope) {
  const auto last = static_cast<float>(extent - 1);
  if (u > 0 && u < last) return u;
  if (u != last) slope = 0;
  return u >= last ? last : 0.f;
}
GRAFT_HD int64_t place_inside(float position, int64_t extent, const ops::GridSampleAttributes& a) {
  float ignored = 1;
  if (a.padding == ops::SamplePadding::reflection)
    position = mirrored(position, extent, a.align_corners, ignored);
  if (a.padding != ops::SamplePadding::zeros) position = clamped(position, extent, ignored);
  return position >= 0 && position < static_cast<float>(extent) ? static_cast<int64_t>(position)
                                                                : -1;
}

// Keys' cubic convolution with a = -0.75 and its derivative, |s| <= 1 and 1 < |s| < 2.
struct Cubic {
  static constexpr float k = -0.75f;
  GRAFT_HD static float near_weight(float s) { return ((k + 2) * s - (k + 3)) * s * s + 1; }
  GRAFT_HD static float far_weight(float s) { return ((k * s - 5 * k) * s + 8 * k) * s - 4 * k; }
  GRAFT_HD static float near_slope(float s) { return (3 * (k + 2) * s - 2 * (k + 3)) * s; }
  GRAFT_HD static float far_slope(float s) { return (3 * k * s - 10 * k) * s + 8 * k; }
};

GRAFT_HD AxisSamples axis_samples(float coordinate, int64_t extent,
                                  const ops::GridSampleAttributes& a) {
  const auto length = static_cast<float>(extent);
  float slope = a.align_corners ? (length - 1) / 2 : length / 2;
  float u =
      a.align_corners ? (coordinate + 1) / 2 * (length - 1) : ((coordinate + 1) * length - 1) / 2;
  AxisSamples samples;
  if (a.mode != ops::SampleMode::cubic) {
    if (a.padding == ops::SamplePadding::reflection)
      u = mirrored(u, extent, a.align_corners, slope);
    if (a.padding != ops::SamplePadding::zeros) u = clamped(u, extent, slope);
  }
  if (a.mode == ops::SampleMode::nearest) {
    samples.add(place_inside(rintf(u), extent, a), 1, 0);
    return samples;
  }
  const float base = floorf(u), t = u - base;
  if (a.mode == ops::SampleMode::linear) {
    samples.add(place_inside(base, extent, a), 1 - t, -slope);
    samples.add(place_inside(base + 1, extent, a), t, slope);
    return samples;
  }
  samples.add(place_inside(base - 1, extent, a), Cubic::far_weight(t + 1),
              slope * Cubic::far_slope(t + 1));
  samples.add(place_inside(base, extent, a), Cubic::near_weight(t), slope * Cubic::near_slope(t));
  samples.add(place_inside(base + 1, extent, a), Cubic::near_weight(1 - t),
              -slope * Cubic::near_slope(1 - t));
  samples.add(place_inside(base + 2, extent, a), Cubic::far_weight(2 - t),
              -slope * Cubic::far_slope(2 - t));
  return samples;
}

}  // namespace graft::cuda
