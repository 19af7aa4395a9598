// What a convolution's products on tensor cores do with their sums, which come in groups of up to
// eight neighbours.
#pragma once
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/device/span.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::cuda {

// y [pixels, K] with bias, residual and activation.
template <class T>
struct TensorForward {
  static constexpr const char* name = "tensor-core forward";
  Span<T> y;
  Span<const float> bias;
  Span<const T> residual;
  int64_t filters;
  ops::FusedActivation activation;
  template <int N>
  GRAFT_HD void store(int, int64_t pixel, int64_t filter, const float (&v)[N]) const {
    const int64_t at = pixel * filters + filter;
    Group<T, N> r{}, result;
    if (residual) r = residual.template load_group<N>(at);
    GRAFT_UNROLL
    for (int j = 0; j < N; ++j) {
      float value = v[j];
      if (bias) value += bias.load(filter + j);
      if (residual) value += to_float(r.v[j]);
      if (activation != ops::FusedActivation::none && value < 0) value = 0;
      if (activation == ops::FusedActivation::relu6 && value > 6) value = 6;
      result.v[j] = from_float<T>(value);
    }
    y.template store_group<N>(at, result);
  }
};

// dx [input pixels of one phase, C].
template <class T>
struct TensorBackwardData {
  static constexpr const char* name = "tensor-core backward-data";
  Span<T> dx;
  int64_t h, w, c, rows, columns;  // of dx; pixels of the phase in an image
  int64_t phase_h, phase_w, stride_h, stride_w;
  GRAFT_HD int64_t pixel(int64_t i) const {
    const int64_t row = i / columns % rows * stride_h + phase_h,
                  column = i % columns * stride_w + phase_w;
    return (i / columns / rows * h + row) * w + column;
  }
  template <int N>
  GRAFT_HD void store(int, int64_t i, int64_t channel, const float (&v)[N]) const {
    Group<T, N> result;
    GRAFT_UNROLL
    for (int j = 0; j < N; ++j) result.v[j] = from_float<T>(v[j]);
    dx.template store_group<N>(pixel(i) * c + channel, result);
  }
};

}  // namespace graft::cuda
