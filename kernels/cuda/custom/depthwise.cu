// Depthwise convolution (one filter a channel): a thread makes pixels of one group of channels,
// whose filters it keeps in registers. Forward and backward-data read each image once a tap,
// backward-weight sums nine taps at a time.
#include <limits>

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

// A group of channels' filters and biases.
template <int kSide, int N>
struct FilterState {
  int64_t channel;
  float weight[kSide * kSide + 1][N], bias[N];
};
// weight: [channels][taps]; turned: from the last tap to the first. kSide 0: the filters stay where
// they are.
template <int kSide, int N>
GRAFT_HD FilterState<kSide, N> filter_state(const Span<const float>& weight,
                                            const Span<const float>& bias, int64_t channel,
                                            bool turned = false) {
  constexpr int taps = kSide * kSide;
  FilterState<kSide, N> s;
  s.channel = channel;
  load_channels<N>(bias, channel, 0.f, s.bias);
  if constexpr (kSide > 0) {
    float filters[taps * N];
    load_channels<taps * N>(weight, channel * taps, filters);
    for (int tap = 0; tap < taps; ++tap)
      for (int j = 0; j < N; ++j)
        s.weight[tap][j] = turned ? filters[j * taps + taps - 1 - tap] : filters[j * taps + tap];
  }
  return s;
}

// What an activation leaves of a value: all between low and high.
struct Range {
  float low, high;
  static Range of(ops::FusedActivation activation) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return {activation == ops::FusedActivation::none ? -infinity : 0.f,
            activation == ops::FusedActivation::relu6 ? 6.f : infinity};
  }
};

template <class T, int N>
GRAFT_HD void store_activated(const Span<T>& to, const Span<const T>& residual, int64_t i,
                              const float* sums, const Range& range) {
  float added[N] = {};
  if (residual) to_floats(residual.template load_group<N>(i), added);
  Group<T, N> result;
  for (int j = 0; j < N; ++j)
    result.v[j] = from_float<T>(clamped(sums[j] + added[j], range.low, range.high));
  to.template store_group<N>(i, result);
}

// A pixel's sum over the window of the other image times the filter. kSide: the window's height and
// width where they are known to the compiler, else 0. Forward makes y of x, backward-data dx of dy.
template <class T, int kSide, bool kForward>
struct DepthwiseSums {
  static constexpr const char* name =
      kForward ? "depthwise conv forward" : "depthwise conv backward-data";
  static constexpr int ahead = 1;
  Span<const T> from, residual;    // residual: or empty, like bias
  Span<const float> weight, bias;  // [channels][taps]
  Span<T> to;
  DepthwisePlan plan;
  Range range;
  template <int N>
  using State = FilterState<kSide, N>;
  template <int N>
  struct Elements {
    float sums[N];
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    return filter_state<kSide, N>(weight, bias, channel);
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
        const int column =
            kForward ? plan.columns.input(at.column, b) : plan.columns.output(at.column, b);
        if (row < 0 || column < 0) continue;
        float x[N];
        to_floats(from.template load_group<N>((line + column) * plan.channels + s.channel), x);
        for (int j = 0; j < N; ++j)
          e.sums[j] += x[j] * (kSide ? s.weight[a * kSide + b][j]
                                     : weight.load(((s.channel + j) * height + a) * width + b));
      }
    }
    return e;
  }
  template <int N>
  GRAFT_HD void store(const State<N>&, int64_t i, const Elements<N>& e) const {
    store_activated<T, N>(to, residual, i, e.sums, range);
  }
};

// The 3x3 window with steps of one, which backward-data is too with the filter turned around: a
// thread makes two neighbours of a row, whose windows share two of four columns.
template <class T>
struct DepthwisePairs {
  static constexpr const char* name = "depthwise conv 3x3";
  static constexpr int ahead = 1, side = 3;
  Span<const T> from, residual;    // residual: or empty, like bias
  Span<const float> weight, bias;  // [channels][9]
  Span<T> to;
  PixelGrid pairs;  // of the result
  int width;        // of the result
  int from_rows, from_columns, pad_rows, pad_columns;
  bool turned;
  int64_t channels;
  Range range;
  template <int N>
  using State = FilterState<side, N>;
  template <int N>
  struct Elements {
    float sums[2][N];
    int64_t at;  // the first pixel's element
    bool two;
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    return filter_state<side, N>(weight, bias, channel, turned);
  }
  template <int N>
  GRAFT_HD Elements<N> load(const State<N>& s, int64_t pair, int64_t) const {
    const PixelGrid::Pixel p = pairs.pixel(pair);
    const int column = 2 * p.column;
    Elements<N> e;
    e.at = ((static_cast<int64_t>(p.image) * pairs.by_rows.divisor + p.row) * width + column) *
               channels +
           s.channel;
    e.two = column + 1 < width;
    for (int j = 0; j < N; ++j) e.sums[0][j] = e.sums[1][j] = s.bias[j];
    GRAFT_UNROLL
    for (int a = 0; a < side; ++a) {
      const int row = p.row + a - pad_rows;
      const bool inside = row >= 0 && row < from_rows;
      int64_t at = ((static_cast<int64_t>(p.image) * from_rows + row) * from_columns + column -
                    pad_columns) *
                       channels +
                   s.channel;
      Words<T, N> v[side + 1];  // all on their way before the first is used; zeros in the padding
      GRAFT_UNROLL
      for (int b = 0; b <= side; ++b, at += channels) {
        const int c = column + b - pad_columns;
        v[b] =
            inside && c >= 0 && c < from_columns ? from.template load_words<N>(at) : Words<T, N>{};
      }
      GRAFT_UNROLL
      for (int b = 0; b <= side; ++b) {
        float x[N];
        to_floats(v[b], x);
        for (int j = 0; j < N; ++j) {
          if (b < side) e.sums[0][j] += x[j] * s.weight[a * side + b][j];
          if (b > 0) e.sums[1][j] += x[j] * s.weight[a * side + b - 1][j];
        }
      }
    }
    return e;
  }
  template <int N>
  GRAFT_HD void store(const State<N>&, int64_t, const Elements<N>& e) const {
    GRAFT_UNROLL
    for (int k = 0; k < 2; ++k)
      if (k == 0 || e.two)
        store_activated<T, N>(to, residual, e.at + k * channels, e.sums[k], range);
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
  GRAFT_HD void add(const State& s, int64_t pixel, int64_t channel,
                    float (&sums)[values][N]) const {
    const PixelGrid::Pixel at = plan.outputs.pixel(pixel);
    float g[N], u[N];
    to_floats(dy.template load_group<N>(pixel * plan.channels + channel), g);
    GRAFT_UNROLL
    for (int v = 0; v < values; ++v) {
      const int row = s.row[v] < 0 ? -1 : plan.rows.input(at.row, s.row[v]),
                column = plan.columns.input(at.column, s.column[v]);
      if (row < 0 || column < 0) continue;
      to_floats(x.template load_group<N>(
                    plan.inputs.index({at.image, row, column}) * plan.channels + channel),
                u);
      for (int j = 0; j < N; ++j) sums[v][j] += g[j] * u[j];
    }
  }
};

// One filter a channel. The weight's memory order is then the same in both formats.
const char* declines_depthwise(const Tensor& x, const Tensor& y,
                               const ops::ConvAttributes& attributes) {
  if (const char* reason = declines_image(x)) return reason;
  if (std::max(x.numel(), y.numel()) / x.size(1) >= kMostPixels) return "too many pixels";
  if (y.format() != x.format()) return "memory order is not channels_last";
  const int64_t channels = x.size(1);
  return attributes.groups == channels && y.size(1) == channels && channels > 1 ? nullptr
                                                                                : "not depthwise";
}
bool grouped(const Tensor& x, const Tensor& y) {
  return is_aligned(x) && is_aligned(y) && x.size(1) % (16 / size_of(x.dtype())) == 0;
}

DepthwisePlan plan_of(const Tensor& x, const Tensor& y, const ops::Window& window) {
  return {PixelGrid::of(x.size(2), x.size(3)), PixelGrid::of(y.size(2), y.size(3)),
          WindowAxis::of(x.size(2), y.size(2), window, 0),
          WindowAxis::of(x.size(3), y.size(3), window, 1), x.size(1)};
}

// Calls f(std::integral_constant<int, side>) with the window's side where a kernel is made for it,
// else 0.
template <class F>
void visit_side(const ops::Window& window, bool grouped, F&& f) {
  const bool square = grouped && window.kernel[0] == window.kernel[1];
  if (square && window.kernel[0] == 3)
    f(std::integral_constant<int, 3>{});
  else if (square && window.kernel[0] == 5)
    f(std::integral_constant<int, 5>{});
  else
    f(std::integral_constant<int, 0>{});
}

constexpr int64_t kRowsAThread = 32;  // a filter is read for each

template <bool kForward>
void run_pairs(const Tensor& from, const Tensor& weight, const Tensor* bias, const Tensor* residual,
               ops::FusedActivation activation, const ops::Window& window, Tensor& to) {
  const int64_t across = ceil_div(to.size(3), int64_t{2}), channels = to.size(1);
  const auto pad = [&](size_t axis) {
    return static_cast<int>(kForward ? window.pad_begin[axis] : 2 - window.pad_begin[axis]);
  };
  visit_kernel_dtype(from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_channel_rows<kGroup<T>>(
        device_of(from), to.size(0) * to.size(2) * across, channels,
        DepthwisePairs<T>{span<T>(from), span<T>(residual), span<float>(weight), span<float>(bias),
                          mutable_span<T>(to), PixelGrid::of(to.size(2), across),
                          static_cast<int>(to.size(3)), static_cast<int>(from.size(2)),
                          static_cast<int>(from.size(3)), pad(0), pad(1), !kForward, channels,
                          Range::of(activation)},
        kRowsAThread / 2);
  });
}

template <bool kForward>
void run_sums(const Tensor& from, const Tensor& weight, const Tensor* bias, const Tensor* residual,
              ops::FusedActivation activation, const ops::Window& window, Tensor& to) {
  if (to.numel() == 0) return;
  const DepthwisePlan plan = kForward ? plan_of(from, to, window) : plan_of(to, from, window);
  const bool in_groups =
      grouped(from, to) && is_aligned(weight) && is_aligned(bias) && is_aligned(residual);
  if (in_groups && window.kernel == ops::Spatial{3, 3, 1} &&
      window.stride == ops::Spatial{1, 1, 1} && window.dilation == ops::Spatial{1, 1, 1})
    return run_pairs<kForward>(from, weight, bias, residual, activation, window, to);
  visit_kernel_dtype(from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_side(window, in_groups, [&](auto side) {
      const DepthwiseSums<T, side(), kForward> kernel{span<T>(from),        span<T>(residual),
                                                      span<float>(weight),  span<float>(bias),
                                                      mutable_span<T>(to),  plan,
                                                      Range::of(activation)};
      const int64_t rows = to.numel() / plan.channels;
      if constexpr (side() > 0)
        launch_channel_rows<side() == 3 ? kGroup<T> : 4>(device_of(from), rows, plan.channels,
                                                         kernel, kRowsAThread);
      else
        visit_group<T>(in_groups, [&](auto n) {
          launch_channel_rows<n()>(device_of(from), rows, plan.channels, kernel, kRowsAThread);
        });
    });
  });
}

void run_forward(const ops::ConvForwardArgs& args, const Tensor* residual,
                 ops::FusedActivation activation) {
  run_sums<true>(args.x, args.weight, args.bias, residual, activation, args.attributes.window,
                 args.y);
}

const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  for (const Tensor* parameter : {&args.weight, args.bias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  return declines_depthwise(args.x, args.y, args.attributes);
}
void forward(ExecContext&, ops::ConvForwardArgs& args) {
  run_forward(args, nullptr, ops::FusedActivation::none);
}

ops::ConvForwardArgs plain(const ops::FusedConvForwardArgs& args) {
  return {args.x, args.weight, args.bias, args.attributes.conv, args.y};
}
const char* declines_fused(const ExecContext& context, const ops::FusedConvForwardArgs& args) {
  if (args.attributes.activation == ops::FusedActivation::function)
    return "a function other than ReLU and ReLU6";
  if (args.residual && args.residual->format() != args.y.format())
    return "memory order of the residual is another";
  return declines_forward(context, plain(args));
}
void fused_forward(ExecContext&, ops::FusedConvForwardArgs& args) {
  run_forward(plain(args), args.residual, args.attributes.activation);
}

const char* declines_backward_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines_parameter(&args.weight)) return reason;
  return declines_depthwise(args.dx, args.dy, args.attributes);
}
void backward_data(ExecContext&, ops::ConvBackwardDataArgs& args) {
  run_sums<false>(args.dy, args.weight, nullptr, nullptr, ops::FusedActivation::none,
                  args.attributes.window, args.dx);
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
    const auto run =
        [&](auto n) {  // four channels: nine sums of each are as many as registers hold
          using Sums = DepthwiseTaps<T>;
          using Body = ColumnSums<Sums, n()>;
          const ColumnTiles tiles = column_tiles(rows, channels, n());
          Tensor partial =
              Tensor::empty({tiles.chunks(), Sums::values, channels}, {.device = args.x.device()});
          for (int first = 0; first < taps; first += Sums::values) {
            launch<Body>(device, tiles.chunks() * tiles.across(), kThreads,
                         {{span<T>(args.x), span<T>(args.dy), plan, first},
                          tiles,
                          static_cast<uint32_t>(tiles.across()),
                          mutable_span<float>(partial)},
                         Body::shared_bytes);
            launch_join(device, tiles.chunks(), channels,
                        JoinSums<float, Sums::values>{
                            span<float>(partial), mutable_span<float>(*args.dweight), channels,
                            taps, first, std::min(Sums::values, taps - first)});
          }
        };
    if (grouped(args.x, args.dy))
      run(std::integral_constant<int, 4>{});
    else
      run(std::integral_constant<int, 1>{});
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
