// Max, average and adaptive average pooling of images in channels_last; a thread makes pixels of
// one group of channels.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/channel_rows.h"
#include "graft/kernels/cuda/custom/window_axis.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class T, int M>
GRAFT_HD void add_group(float* sums, const Group<T, M>& v, float scale = 1.f) {
  float x[M];
  to_floats(v, x);
  for (int j = 0; j < M; ++j) sums[j] += x[j] * scale;
}
template <class T, int M>
GRAFT_HD Group<T, M> to_group(const float* values) {
  Group<T, M> v;
  for (int j = 0; j < M; ++j) v.v[j] = from_float<T>(values[j]);
  return v;
}

// Where the pooled pixels lie, whatever the pooling's rule.
template <class Axis>
struct PoolPlan {
  PixelGrid inputs, outputs;  // pixels of x and of y
  Axis rows, columns;
  int64_t channels;
};
using WindowPlan = PoolPlan<WindowAxis>;
using AdaptivePlan = PoolPlan<AdaptiveAxis>;

// The factor of an average's sum.
GRAFT_HD float average_share(const WindowPlan& plan, int row, int column, bool include_pad) {
  const int count = plan.rows.counted(row, include_pad) * plan.columns.counted(column, include_pad);
  return 1.f / static_cast<float>(count > 1 ? count : 1);
}
GRAFT_HD float adaptive_share(const AdaptivePlan& plan, int row, int column) {
  return 1.f / static_cast<float>(plan.rows.width(row) * plan.columns.width(column));
}

// What pooling kernels have in common in ChannelRows: the channel is all their state.
struct PoolKernel {
  static constexpr int ahead = 1;
  template <int N>
  using State = int64_t;
  template <int N>
  GRAFT_HD int64_t prepare(int64_t channel) const {
    return channel;
  }
};
template <int N>
struct Sums {
  float v[N];
};

template <class T>
struct MaxForward : PoolKernel {
  static constexpr const char* name = "max_pool forward";
  Span<const T> x;
  Span<T> y;
  Span<int32_t> indices;  // or empty
  WindowPlan plan;
  template <int N>
  struct Elements {
    float best[N];
    int32_t where[N];
  };
  template <int N>
  GRAFT_HD Elements<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel out = plan.outputs.pixel(pixel);
    Elements<N> e;
    for (int j = 0; j < N; ++j) e.best[j] = 0, e.where[j] = -1;
    for (int a = 0; a < plan.rows.taps; ++a) {
      const int row = plan.rows.input(out.row, a);
      if (row < 0) continue;
      for (int b = 0; b < plan.columns.taps; ++b) {
        const int column = plan.columns.input(out.column, b);
        if (column < 0) continue;
        const Group<T, N> v = x.template load_group<N>(
            plan.inputs.index({out.image, row, column}) * plan.channels + channel);
        const int32_t here = row * plan.columns.in + column;
        for (int j = 0; j < N; ++j) {
          const float value = to_float(v.v[j]);
          const bool wins = e.where[j] < 0 || value > e.best[j] || value != value;
          e.best[j] = wins ? value : e.best[j];
          e.where[j] = wins ? here : e.where[j];
        }
      }
    }
    return e;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Elements<N>& e) const {
    y.template store_group<N>(i, to_group<T, N>(e.best));
    if (indices) store_channels<N>(indices, i, e.where);
  }
};

template <class T>
struct MaxBackward : PoolKernel {
  static constexpr const char* name = "max_pool backward";
  Span<const T> dy;
  Span<const int32_t> indices;
  Span<T> dx;
  WindowPlan plan;
  template <int N>
  using Elements = Sums<N>;
  template <int N>
  GRAFT_HD Sums<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel in = plan.inputs.pixel(pixel);
    const int32_t here = in.row * plan.columns.in + in.column;
    const int first = plan.columns.first(in.column), last = plan.columns.last(in.column),
              last_row = plan.rows.last(in.row);
    Sums<N> sums{};
    for (int row = plan.rows.first(in.row); row <= last_row; ++row) {  // windows in their own order
      int64_t from = plan.outputs.index({in.image, row, first}) * plan.channels + channel;
      for (int column = first; column <= last; ++column, from += plan.channels) {
        int32_t where[N];
        load_channels<N>(indices, from, where);
        float g[N];
        to_floats(dy.template load_group<N>(from), g);
        for (int j = 0; j < N; ++j) sums.v[j] += where[j] == here ? g[j] : 0.f;
      }
    }
    return sums;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Sums<N>& sums) const {
    dx.template store_group<N>(i, to_group<T, N>(sums.v));
  }
};

template <class T>
struct AverageForward : PoolKernel {
  static constexpr const char* name = "average_pool forward";
  Span<const T> x;
  Span<T> y;
  WindowPlan plan;
  bool include_pad;
  template <int N>
  using Elements = Sums<N>;
  template <int N>
  GRAFT_HD Sums<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel out = plan.outputs.pixel(pixel);
    Sums<N> sums{};
    for (int a = 0; a < plan.rows.taps; ++a)
      for (int b = 0; b < plan.columns.taps; ++b) {
        const int row = plan.rows.input(out.row, a), column = plan.columns.input(out.column, b);
        if (row >= 0 && column >= 0)
          add_group<T, N>(
              sums.v, x.template load_group<N>(
                          plan.inputs.index({out.image, row, column}) * plan.channels + channel));
      }
    const float share = average_share(plan, out.row, out.column, include_pad);
    for (int j = 0; j < N; ++j) sums.v[j] *= share;
    return sums;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Sums<N>& sums) const {
    y.template store_group<N>(i, to_group<T, N>(sums.v));
  }
};

template <class T>
struct AverageBackward : PoolKernel {
  static constexpr const char* name = "average_pool backward";
  Span<const T> dy;
  Span<T> dx;
  WindowPlan plan;
  bool include_pad;
  template <int N>
  using Elements = Sums<N>;
  template <int N>
  GRAFT_HD Sums<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel in = plan.inputs.pixel(pixel);
    Sums<N> sums{};
    for (int row = plan.rows.first(in.row); row <= plan.rows.last(in.row); ++row)
      for (int column = plan.columns.first(in.column); column <= plan.columns.last(in.column);
           ++column)
        if (plan.rows.holds(row, in.row) && plan.columns.holds(column, in.column))
          add_group<T, N>(
              sums.v,
              dy.template load_group<N>(
                  plan.outputs.index({in.image, row, column}) * plan.channels + channel),
              average_share(plan, row, column, include_pad));
    return sums;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Sums<N>& sums) const {
    dx.template store_group<N>(i, to_group<T, N>(sums.v));
  }
};

// Output 1 x 1 is global average pooling.
template <class T>
struct AdaptiveForward : PoolKernel {
  static constexpr const char* name = "adaptive_average_pool forward";
  Span<const T> x;
  Span<T> y;
  AdaptivePlan plan;
  template <int N>
  using Elements = Sums<N>;
  template <int N>
  GRAFT_HD Sums<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel out = plan.outputs.pixel(pixel);
    const int begin = plan.columns.begin(out.column), end = plan.columns.end(out.column);
    Sums<N> sums{};
    for (int row = plan.rows.begin(out.row); row < plan.rows.end(out.row); ++row) {
      const int64_t line = plan.inputs.index({out.image, row, 0});
      GRAFT_UNROLL_4
      for (int column = begin; column < end; ++column)
        add_group<T, N>(sums.v,
                        x.template load_group<N>((line + column) * plan.channels + channel));
    }
    const float share = adaptive_share(plan, out.row, out.column);
    for (int j = 0; j < N; ++j) sums.v[j] *= share;
    return sums;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Sums<N>& sums) const {
    y.template store_group<N>(i, to_group<T, N>(sums.v));
  }
};

template <class T>
struct AdaptiveBackward : PoolKernel {
  static constexpr const char* name = "adaptive_average_pool backward";
  Span<const T> dy;
  Span<T> dx;
  AdaptivePlan plan;
  float global_share;  // of one output pixel an image; 0: there are more
  template <int N>
  using Elements = Sums<N>;
  template <int N>
  GRAFT_HD Sums<N> load(int64_t channel, int64_t pixel, int64_t) const {
    const PixelGrid::Pixel in = plan.inputs.pixel(pixel);
    Sums<N> sums{};
    if (global_share > 0) {
      add_group<T, N>(sums.v, dy.template load_group<N>(in.image * plan.channels + channel),
                      global_share);
      return sums;
    }
    for (int row = plan.rows.first(in.row); row <= plan.rows.last(in.row); ++row)
      for (int column = plan.columns.first(in.column); column <= plan.columns.last(in.column);
           ++column)
        add_group<T, N>(sums.v,
                        dy.template load_group<N>(
                            plan.outputs.index({in.image, row, column}) * plan.channels + channel),
                        adaptive_share(plan, row, column));
    return sums;
  }
  template <int N>
  GRAFT_HD void store(int64_t, int64_t i, const Sums<N>& sums) const {
    dx.template store_group<N>(i, to_group<T, N>(sums.v));
  }
};

const char* declines_pair(const Tensor& x, const Tensor& y) {
  if (const char* reason = declines_image(x)) return reason;
  if (std::max(x.numel(), y.numel()) / x.size(1) >= kMostPixels) return "too many pixels";
  return y.format() == x.format() ? nullptr : "memory order is not channels_last";
}
bool grouped(const Tensor& x, const Tensor& y) {
  return is_aligned(x) && is_aligned(y) && x.size(1) % (16 / size_of(x.dtype())) == 0;
}

// Calls f(T{}, N) for a pair of images.
template <class F>
void visit_pair(const Tensor& x, const Tensor& y, F&& f) {
  visit_kernel_dtype(x.dtype(), [&](auto zero) {
    visit_group<decltype(zero)>(grouped(x, y), [&](auto n) { f(zero, n); });
  });
}

WindowPlan plan_of(const Tensor& x, const Tensor& y, const ops::Window& window) {
  return {PixelGrid::of(x.size(2), x.size(3)), PixelGrid::of(y.size(2), y.size(3)),
          WindowAxis::of(x.size(2), y.size(2), window, 0),
          WindowAxis::of(x.size(3), y.size(3), window, 1), x.size(1)};
}
AdaptivePlan plan_of(const Tensor& x, const Tensor& y) {
  return {PixelGrid::of(x.size(2), x.size(3)), PixelGrid::of(y.size(2), y.size(3)),
          AdaptiveAxis::of(x.size(2), y.size(2)), AdaptiveAxis::of(x.size(3), y.size(3)),
          x.size(1)};
}

// Calls make(T{}), the kernel that computes `result` of `from`, and starts it.
template <class F>
void run(const Tensor& from, const Tensor& result, F&& make) {
  if (result.numel() == 0) return;
  visit_pair(from, result, [&](auto zero, auto n) {
    launch_channel_rows<n()>(device_of(from), result.numel() / result.size(1), result.size(1),
                             make(zero));
  });
}

void max_forward(ExecContext&, ops::MaxPoolForwardArgs& args) {
  run(args.x, args.y, [&](auto zero) {
    using T = decltype(zero);
    return MaxForward<T>{{},
                         span<T>(args.x),
                         mutable_span<T>(args.y),
                         mutable_span<int32_t>(args.indices),
                         plan_of(args.x, args.y, args.attributes.window)};
  });
}
void max_backward(ExecContext&, ops::MaxPoolBackwardArgs& args) {
  run(args.dy, args.dx, [&](auto zero) {
    using T = decltype(zero);
    return MaxBackward<T>{{},
                          span<T>(args.dy),
                          span<int32_t>(args.indices),
                          mutable_span<T>(args.dx),
                          plan_of(args.dx, args.dy, args.attributes.window)};
  });
}
void average_forward(ExecContext&, ops::AveragePoolForwardArgs& args) {
  run(args.x, args.y, [&](auto zero) {
    using T = decltype(zero);
    return AverageForward<T>{{},
                             span<T>(args.x),
                             mutable_span<T>(args.y),
                             plan_of(args.x, args.y, args.attributes.window),
                             args.attributes.count_include_pad};
  });
}
void average_backward(ExecContext&, ops::AveragePoolBackwardArgs& args) {
  run(args.dy, args.dx, [&](auto zero) {
    using T = decltype(zero);
    return AverageBackward<T>{{},
                              span<T>(args.dy),
                              mutable_span<T>(args.dx),
                              plan_of(args.dx, args.dy, args.attributes.window),
                              args.attributes.count_include_pad};
  });
}
void adaptive_forward(ExecContext&, ops::AdaptiveAveragePoolForwardArgs& args) {
  run(args.x, args.y, [&](auto zero) {
    using T = decltype(zero);
    return AdaptiveForward<T>{
        {}, span<T>(args.x), mutable_span<T>(args.y), plan_of(args.x, args.y)};
  });
}
void adaptive_backward(ExecContext&, ops::AdaptiveAveragePoolBackwardArgs& args) {
  run(args.dy, args.dx, [&](auto zero) {
    using T = decltype(zero);
    const bool global = args.dy.size(2) == 1 && args.dy.size(3) == 1;
    return AdaptiveBackward<T>{
        {},
        span<T>(args.dy),
        mutable_span<T>(args.dx),
        plan_of(args.dx, args.dy),
        global ? 1.f / static_cast<float>(args.dx.size(2) * args.dx.size(3)) : 0.f};
  });
}

template <class Args>
const char* declines_forward(const ExecContext&, const Args& args) {
  return declines_pair(args.x, args.y);
}
template <class Args>
const char* declines_backward(const ExecContext&, const Args& args) {
  return declines_pair(args.dx, args.dy);
}

}  // namespace

void register_pool(KernelSet& set) {
  set.pool.max_forward.add({"cuda", declines_forward<ops::MaxPoolForwardArgs>, max_forward});
  set.pool.max_backward.add({"cuda", declines_backward<ops::MaxPoolBackwardArgs>, max_backward});
  set.pool.average_forward.add(
      {"cuda", declines_forward<ops::AveragePoolForwardArgs>, average_forward});
  set.pool.average_backward.add(
      {"cuda", declines_backward<ops::AveragePoolBackwardArgs>, average_backward});
  set.pool.adaptive_forward.add(
      {"cuda", declines_forward<ops::AdaptiveAveragePoolForwardArgs>, adaptive_forward});
  set.pool.adaptive_backward.add(
      {"cuda", declines_backward<ops::AdaptiveAveragePoolBackwardArgs>, adaptive_backward});
}

}  // namespace graft::cuda
