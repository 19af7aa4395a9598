// Depthwise convolution (one filter a channel): three passes that read each image once a tap, in 16-byte groups of channels.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/column_sums.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::cuda {
namespace {

template <class T, int N>
struct DepthwiseForward {
  static constexpr const char* name = "depthwise conv forward";
  static constexpr int group = N;
  Span<const T> x, residual;
  Span<const float> weight, bias;  // [channels][taps]
  Span<T> y;
  ConvGeometry shape;
  ops::FusedActivation activation;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t channel = i % shape.c, pixel = i / shape.c;
    float sums[M];
    for (int j = 0; j < M; ++j) sums[j] = bias ? bias.load(channel + j) : 0.f;
    GRAFT_NO_UNROLL
    for (int64_t tap = 0; tap < shape.r * shape.s; ++tap) {
      const int64_t at = shape.x_at(0, pixel, {tap / shape.s, tap % shape.s, 0});
      if (at < 0) continue;
      const Group<T, M> v = x.template load_group<M>(at + channel);
      for (int j = 0; j < M; ++j) sums[j] += to_float(v.v[j]) * weight.load((channel + j) * shape.r * shape.s + tap);
    }
    Group<T, M> result, r{};
    if (residual) r = residual.template load_group<M>(i);
    for (int j = 0; j < M; ++j) {
      float value = residual ? sums[j] + to_float(r.v[j]) : sums[j];
      if (activation != ops::FusedActivation::none && value < 0) value = 0;
      if (activation == ops::FusedActivation::relu6 && value > 6) value = 6;
      result.v[j] = from_float<T>(value);
    }
    y.template store_group<M>(i, result);
  }
};

template <class T, int N>
struct DepthwiseBackwardData {
  static constexpr const char* name = "depthwise conv backward-data";
  static constexpr int group = N;
  Span<const T> dy;
  Span<const float> weight;
  Span<T> dx;
  ConvGeometry shape;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t channel = i % shape.c, pixel = i / shape.c;
    float sums[M] = {};
    GRAFT_NO_UNROLL
    for (int64_t tap = 0; tap < shape.r * shape.s; ++tap) {
      const int64_t from = shape.pixel_under(pixel, tap / shape.s, tap % shape.s);
      if (from < 0) continue;
      const Group<T, M> g = dy.template load_group<M>(from * shape.c + channel);
      for (int j = 0; j < M; ++j) sums[j] += to_float(g.v[j]) * weight.load((channel + j) * shape.r * shape.s + tap);
    }
    Group<T, M> result;
    for (int j = 0; j < M; ++j) result.v[j] = from_float<T>(sums[j]);
    dx.template store_group<M>(i, result);
  }
};

// Two taps' gradients: sums over pixels of dy times the x under the tap.
template <class T>
struct DepthwiseTaps {
  static constexpr const char* name = "depthwise conv backward-weight";
  Span<const T> x, dy;
  ConvGeometry shape;
  int64_t taps[2];  // -1: only one is left
  template <int N>
  GRAFT_HD void add(int64_t, int64_t row, int64_t channel, float* first, float* second) const {
    const Group<T, N> g = dy.template load_group<N>(row * shape.c + channel);
    add_tap<N>(taps[0], row, channel, g, first);
    add_tap<N>(taps[1], row, channel, g, second);
  }

 private:
  template <int N>
  GRAFT_HD void add_tap(int64_t tap, int64_t row, int64_t channel, const Group<T, N>& g, float* sums) const {
    const int64_t at = tap < 0 ? -1 : shape.x_at(0, row, {tap / shape.s, tap % shape.s, 0});
    if (at < 0) return;
    const Group<T, N> v = x.template load_group<N>(at + channel);
    for (int j = 0; j < N; ++j) sums[j] += to_float(g.v[j]) * to_float(v.v[j]);
  }
};

// dweight [channels][taps]: one tap's chunks in their order.
struct JoinTap {
  static constexpr const char* name = "depthwise conv backward-weight, join";
  static constexpr int group = 1;
  Span<const float> sums;  // [chunks, channels]
  Span<float> dweight;
  int64_t chunks, channels, taps, tap;
  template <int M>
  GRAFT_HD void at(int64_t c) const {
    float sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += sums.load(chunk * channels + c);
    dweight.store(c * taps + tap, sum);
  }
};

// One filter a channel. The weight's memory order is then the same in both formats.
const char* declines_depthwise(const Tensor& x, const Tensor& y, const ops::ConvAttributes& attributes) {
  if (const char* reason = declines_image(x)) return reason;
  if (y.format() != x.format()) return "memory order is not channels_last";
  const int64_t channels = x.size(1);
  return attributes.groups == channels && y.size(1) == channels && channels > 1 ? nullptr : "not depthwise";
}
bool grouped(const Tensor& x, const Tensor& y) { return is_aligned(x) && is_aligned(y) && x.size(1) % (16 / size_of(x.dtype())) == 0; }

void run_forward(const ops::ConvForwardArgs& args, const Tensor* residual, ops::FusedActivation activation) {
  const ConvGeometry g = ConvGeometry::of(args.x.shape(), args.y.shape(), args.weight, args.attributes);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(grouped(args.x, args.y) && is_aligned(residual), [&](auto n) {
      launch_map(device_of(args.x), args.y.numel(),
                 DepthwiseForward<T, n()>{span<T>(args.x), span<T>(residual), span<float>(args.weight), span<float>(args.bias), mutable_span<T>(args.y), g,
                                          activation});
    });
  });
}

const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  for (const Tensor* parameter : {&args.weight, args.bias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  return declines_depthwise(args.x, args.y, args.attributes);
}
void forward(ExecContext&, ops::ConvForwardArgs& args) { run_forward(args, nullptr, ops::FusedActivation::none); }

ops::ConvForwardArgs plain(const ops::FusedConvForwardArgs& args) { return {args.x, args.weight, args.bias, args.attributes.conv, args.y}; }
const char* declines_fused(const ExecContext& context, const ops::FusedConvForwardArgs& args) {
  if (args.residual && args.residual->format() != args.y.format()) return "memory order of the residual is another";
  return declines_forward(context, plain(args));
}
void fused_forward(ExecContext&, ops::FusedConvForwardArgs& args) { run_forward(plain(args), args.residual, args.attributes.activation); }

const char* declines_backward_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines_parameter(&args.weight)) return reason;
  return declines_depthwise(args.dx, args.dy, args.attributes);
}
void backward_data(ExecContext&, ops::ConvBackwardDataArgs& args) {
  const ConvGeometry g = ConvGeometry::of(args.dx.shape(), args.dy.shape(), args.weight, args.attributes);
  visit_kernel_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(grouped(args.dx, args.dy), [&](auto n) {
      launch_map(device_of(args.dx), args.dx.numel(),
                 DepthwiseBackwardData<T, n()>{span<T>(args.dy), span<float>(args.weight), mutable_span<T>(args.dx), g});
    });
  });
}

const char* declines_backward_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  for (const Tensor* parameter : {args.dweight, args.dbias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  return declines_depthwise(args.x, args.dy, args.attributes);
}
void backward_weight(ExecContext&, ops::ConvBackwardWeightArgs& args) {
  const gpu::OperationName operation("conv backward-weight");
  gpu::Device& device = device_of(args.x);
  const ConvGeometry g = ConvGeometry::of(args.x.shape(), args.dy.shape(), *args.dweight, args.attributes);
  const int64_t channels = g.c, taps = g.r * g.s;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(grouped(args.x, args.dy), [&](auto n) {
      using Body = ColumnSums<DepthwiseTaps<T>, n()>;
      const ColumnTiles tiles = ColumnTiles::of(g.pixels(), channels, n());
      Tensor sums[2];
      for (Tensor& sum : sums) sum = Tensor::empty({tiles.chunks(), channels}, {.device = args.x.device()});
      for (int64_t tap = 0; tap < taps; tap += 2) {
        const bool both = tap + 1 < taps;
        launch<Body>(device, tiles.chunks() * tiles.across(), kThreads,
                     {{span<T>(args.x), span<T>(args.dy), g, {tap, both ? tap + 1 : -1}}, tiles, tiles.across(), mutable_span<float>(sums[0]), mutable_span<float>(sums[1])},
                     Body::shared_bytes);
        for (int64_t i = 0; i < (both ? 2 : 1); ++i)
          launch_map(device, channels, JoinTap{span<float>(sums[i]), mutable_span<float>(*args.dweight), tiles.chunks(), channels, taps, tap + i});
      }
    });
  });
  if (args.dbias) conv_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_depthwise(KernelSet& set) {
  set.conv.forward.add({"cuda_depthwise", declines_forward, forward});
  set.conv.backward_data.add({"cuda_depthwise", declines_backward_data, backward_data});
  set.conv.backward_weight.add({"cuda_depthwise", declines_backward_weight, backward_weight});
  set.fused_conv.forward.add({"cuda_depthwise", declines_fused, fused_forward});
}

}  // namespace graft::cuda
