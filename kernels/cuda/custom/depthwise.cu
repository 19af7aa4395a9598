// Depthwise convolution (one filter a channel): a thread makes pixels of one group of channels, whose filters it keeps in
// registers. Forward and backward-data read each image once a tap, backward-weight sums nine taps at a time.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/column_sums.h"
#include "graft/kernels/cuda/custom/window_axis.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::cuda {
namespace {

// The pixels of both images and how the window lies on them.
struct DepthwisePlan {
  PixelGrid inputs, outputs;
  WindowAxis rows, columns;
  int64_t channels;
};

// A pixel's sum over the window of the other image times the filter. kSide: the window's height and width where they are
// known to the compiler, else 0. Forward makes y of x, backward-data dx of dy.
template <class T, int kSide, bool kForward>
struct DepthwiseSums {
  static constexpr const char* name = kForward ? "depthwise conv forward" : "depthwise conv backward-data";
  static constexpr int ahead = 1;
  Span<const T> from, residual;    // residual: or empty, like bias
  Span<const float> weight, bias;  // [channels][taps]
  Span<T> to;
  DepthwisePlan plan;
  ops::FusedActivation activation;
  template <int N>
  struct State {
    int64_t channel;
    float weight[kSide * kSide + 1][N], bias[N];
  };
  template <int N>
  struct Elements {
    float sums[N];
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    State<N> s;
    s.channel = channel;
    load_channels<N>(bias, channel, 0.f, s.bias);
    if constexpr (kSide > 0) {
      constexpr int taps = kSide * kSide;
      float filters[taps * N];
      load_channels<taps * N>(weight, channel * taps, filters);
      for (int tap = 0; tap < taps; ++tap)
        for (int j = 0; j < N; ++j) s.weight[tap][j] = filters[j * taps + tap];
    }
    return s;
  }
  template <int N>
  GRAFT_HD Elements<N> load(const State<N>& s, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel at = (kForward ? plan.outputs : plan.inputs).pixel(pixel);
    const int height = kSide ? kSide : plan.rows.taps, width = kSide ? kSide : plan.columns.taps;
    Elements<N> e;
    for (int j = 0; j < N; ++j) e.sums[j] = s.bias[j];
    GRAFT_UNROLL
    for (int a = 0; a < height; ++a) {
      const int row = kForward ? plan.rows.input(at.row, a) : plan.rows.output(at.row, a);
      const int64_t line = (kForward ? plan.inputs : plan.outputs).index({at.image, row, 0});
      GRAFT_UNROLL
      for (int b = 0; b < width; ++b) {
        const int column = kForward ? plan.columns.input(at.column, b) : plan.columns.output(at.column, b);
        if (row < 0 || column < 0) continue;
        const Group<T, N> v = from.template load_group<N>((line + column) * plan.channels + s.channel);
        for (int j = 0; j < N; ++j)
          e.sums[j] += to_float(v.v[j]) * (kSide ? s.weight[a * kSide + b][j] : weight.load(((s.channel + j) * height + a) * width + b));
      }
    }
    return e;
  }
  template <int N>
  GRAFT_HD void store(const State<N>&, int64_t i, const Elements<N>& e) const {
    Group<T, N> result, r{};
    if (residual) r = residual.template load_group<N>(i);
    for (int j = 0; j < N; ++j) {
      float value = residual ? e.sums[j] + to_float(r.v[j]) : e.sums[j];
      if (activation != ops::FusedActivation::none && value < 0) value = 0;
      if (activation == ops::FusedActivation::relu6 && value > 6) value = 6;
      result.v[j] = from_float<T>(value);
    }
    to.template store_group<N>(i, result);
  }
};

// Nine taps' gradients, from tap `first` on: sums over pixels of dy times the x under the tap.
template <class T>
struct DepthwiseTaps {
  static constexpr const char* name = "depthwise conv backward-weight";
  static constexpr int values = 9;
  Span<const T> x, dy;
  DepthwisePlan plan;
  int first;
  struct State {
    int row[values], column[values];  // row -1: no such tap
  };
  template <int N>
  GRAFT_HD State prepare(int64_t, int64_t) const {
    State s;
    for (int v = 0; v < values; ++v) {
      const int tap = first + v;
      s.row[v] = tap < plan.rows.taps * plan.columns.taps ? tap / plan.columns.taps : -1;
      s.column[v] = tap % plan.columns.taps;
    }
    return s;
  }
  template <int N>
  GRAFT_HD void add(const State& s, int64_t pixel, int64_t channel, float (&sums)[values][N]) const {
    const PixelGrid::Pixel at = plan.outputs.pixel(pixel);
    const Group<T, N> g = dy.template load_group<N>(pixel * plan.channels + channel);
    GRAFT_UNROLL
    for (int v = 0; v < values; ++v) {
      const int row = s.row[v] < 0 ? -1 : plan.rows.input(at.row, s.row[v]), column = plan.columns.input(at.column, s.column[v]);
      if (row < 0 || column < 0) continue;
      const Group<T, N> u = x.template load_group<N>(plan.inputs.index({at.image, row, column}) * plan.channels + channel);
      for (int j = 0; j < N; ++j) sums[v][j] += to_float(g.v[j]) * to_float(u.v[j]);
    }
  }
};

// One filter a channel. The weight's memory order is then the same in both formats.
const char* declines_depthwise(const Tensor& x, const Tensor& y, const ops::ConvAttributes& attributes) {
  if (const char* reason = declines_image(x)) return reason;
  if (std::max(x.numel(), y.numel()) / x.size(1) >= kMostPixels) return "too many pixels";
  if (y.format() != x.format()) return "memory order is not channels_last";
  const int64_t channels = x.size(1);
  return attributes.groups == channels && y.size(1) == channels && channels > 1 ? nullptr : "not depthwise";
}
bool grouped(const Tensor& x, const Tensor& y) { return is_aligned(x) && is_aligned(y) && x.size(1) % (16 / size_of(x.dtype())) == 0; }

DepthwisePlan plan_of(const Tensor& x, const Tensor& y, const ops::Window& window) {
  return {PixelGrid::of(x.size(2), x.size(3)), PixelGrid::of(y.size(2), y.size(3)), WindowAxis::of(x.size(2), y.size(2), window, 0),
          WindowAxis::of(x.size(3), y.size(3), window, 1), x.size(1)};
}

// Calls f(std::integral_constant<int, side>) with the window's side where a kernel is made for it, else 0.
template <class F>
void visit_side(const ops::Window& window, bool grouped, F&& f) {
  const bool square = grouped && window.kernel[0] == window.kernel[1];
  if (square && window.kernel[0] == 3) f(std::integral_constant<int, 3>{});
  else if (square && window.kernel[0] == 5) f(std::integral_constant<int, 5>{});
  else f(std::integral_constant<int, 0>{});
}

template <bool kForward>
void run_sums(const Tensor& from, const Tensor& weight, const Tensor* bias, const Tensor* residual, ops::FusedActivation activation,
              const ops::Window& window, Tensor& to) {
  if (to.numel() == 0) return;
  constexpr int64_t rows_a_thread = 32;  // a filter is read for each
  const DepthwisePlan plan = kForward ? plan_of(from, to, window) : plan_of(to, from, window);
  const bool in_groups = grouped(from, to) && is_aligned(weight) && is_aligned(bias) && is_aligned(residual);
  visit_kernel_dtype(from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_side(window, in_groups, [&](auto side) {
      const DepthwiseSums<T, side(), kForward> kernel{span<T>(from), span<T>(residual), span<float>(weight), span<float>(bias), mutable_span<T>(to), plan,
                                                      activation};
      const int64_t rows = to.numel() / plan.channels;
      if constexpr (side() > 0) launch_channel_rows<side() == 3 ? kGroup<T> : 4>(device_of(from), rows, plan.channels, kernel, rows_a_thread);
      else visit_group<T>(in_groups, [&](auto n) { launch_channel_rows<n()>(device_of(from), rows, plan.channels, kernel, rows_a_thread); });
    });
  });
}

void run_forward(const ops::ConvForwardArgs& args, const Tensor* residual, ops::FusedActivation activation) {
  run_sums<true>(args.x, args.weight, args.bias, residual, activation, args.attributes.window, args.y);
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
  run_sums<false>(args.dy, args.weight, nullptr, nullptr, ops::FusedActivation::none, args.attributes.window, args.dx);
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
  const DepthwisePlan plan = plan_of(args.x, args.dy, args.attributes.window);
  const int taps = plan.rows.taps * plan.columns.taps;
  const int64_t channels = plan.channels, rows = args.dy.numel() / channels;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto n) {  // four channels: nine sums of each are as many as registers hold
      using Sums = DepthwiseTaps<T>;
      using Body = ColumnSums<Sums, n()>;
      const ColumnTiles tiles = column_tiles(rows, channels, n());
      Tensor partial = Tensor::empty({tiles.chunks(), Sums::values, channels}, {.device = args.x.device()});
      for (int first = 0; first < taps; first += Sums::values) {
        launch<Body>(device, tiles.chunks() * tiles.across(), kThreads,
                     {{span<T>(args.x), span<T>(args.dy), plan, first}, tiles, static_cast<uint32_t>(tiles.across()), mutable_span<float>(partial)},
                     Body::shared_bytes);
        launch_join(device, tiles.chunks(), channels,
                    JoinSums<float, Sums::values>{span<float>(partial), mutable_span<float>(*args.dweight), channels, taps, first, std::min(Sums::values, taps - first)});
      }
    };
    if (grouped(args.x, args.dy)) run(std::integral_constant<int, 4>{});
    else run(std::integral_constant<int, 1>{});
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
