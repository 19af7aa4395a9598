// Softmax and log-softmax along an axis, and their gradients: a thread a line where neighbouring
// lines are neighbours in memory, else a block a line.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/lines.h"
#include "graft/kernels/cuda/device/block_sum.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/softmax.h"

namespace graft::cuda {
namespace {

// exp(x - top) / sum, or its logarithm.
struct Normaliser {
  float top, sum, log_sum;
  GRAFT_HD float operator()(float x, bool log) const {
    return log ? x - top - log_sum : expf(x - top) / sum;
  }
};
// From the result y, its gradient dy and the line's sum of dy (log) or y dy.
GRAFT_HD float softmax_slope(float y, float dy, float sum, bool log) {
  return log ? dy - expf(y) * sum : y * (dy - sum);
}

template <class T>
struct SoftmaxThread {
  static constexpr const char* name = "softmax forward";
  static constexpr int group = 1;
  Span<const T> x;
  Span<T> y;
  Lines lines;
  bool log;
  template <int M>
  GRAFT_HD void at(int64_t line) const {
    const int64_t begin = lines.begin(line);
    const auto value = [&](int64_t i) { return to_float(x.load(begin + i * lines.step)); };
    Normaliser n{value(0), 0, 0};
    for (int64_t i = 1; i < lines.extent; ++i) n.top = Maximum::of(n.top, value(i));
    for (int64_t i = 0; i < lines.extent; ++i) n.sum += expf(value(i) - n.top);
    n.log_sum = logf(n.sum);
    for (int64_t i = 0; i < lines.extent; ++i)
      y.store(begin + i * lines.step, from_float<T>(n(value(i), log)));
  }
};

template <class T, int N>
struct SoftmaxBlock {
  static constexpr const char* name = "softmax forward";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> x;
    Span<T> y;
    int64_t extent;
    bool log;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int64_t begin = t.block() * a.extent, step = int64_t{t.threads()} * N;
    Normaliser n{Maximum::identity, 0, 0};
    for (int64_t i = int64_t{t.thread()} * N; i < a.extent; i += step) {
      const Group<T, N> v = a.x.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) n.top = Maximum::of(n.top, to_float(v.v[j]));
    }
    n.top = block_reduce<Maximum>(t, scratch, n.top);
    for (int64_t i = int64_t{t.thread()} * N; i < a.extent; i += step) {
      const Group<T, N> v = a.x.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) n.sum += expf(to_float(v.v[j]) - n.top);
    }
    n.sum = block_reduce<Sum>(t, scratch, n.sum);
    n.log_sum = logf(n.sum);
    for (int64_t i = int64_t{t.thread()} * N; i < a.extent; i += step) {
      Group<T, N> v = a.x.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) v.v[j] = from_float<T>(n(to_float(v.v[j]), a.log));
      a.y.template store_group<N>(begin + i, v);
    }
  }
};

template <class T>
struct SoftmaxBackwardThread {
  static constexpr const char* name = "softmax backward";
  static constexpr int group = 1;
  Span<const T> y, dy;
  Span<T> dx;
  Lines lines;
  bool log;
  template <int M>
  GRAFT_HD void at(int64_t line) const {
    const int64_t begin = lines.begin(line);
    float sum = 0;
    for (int64_t i = 0; i < lines.extent; ++i) {
      const int64_t place = begin + i * lines.step;
      sum += to_float(dy.load(place)) * (log ? 1.f : to_float(y.load(place)));
    }
    for (int64_t i = 0; i < lines.extent; ++i) {
      const int64_t place = begin + i * lines.step;
      dx.store(place, from_float<T>(softmax_slope(to_float(y.load(place)), to_float(dy.load(place)),
                                                  sum, log)));
    }
  }
};

template <class T, int N>
struct SoftmaxBackwardBlock {
  static constexpr const char* name = "softmax backward";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> y, dy;
    Span<T> dx;
    int64_t extent;
    bool log;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int64_t begin = t.block() * a.extent, step = int64_t{t.threads()} * N;
    float sum = 0;
    for (int64_t i = int64_t{t.thread()} * N; i < a.extent; i += step) {
      const Group<T, N> g = a.dy.template load_group<N>(begin + i),
                        v = a.y.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) sum += to_float(g.v[j]) * (a.log ? 1.f : to_float(v.v[j]));
    }
    sum = block_reduce<Sum>(t, scratch, sum);
    for (int64_t i = int64_t{t.thread()} * N; i < a.extent; i += step) {
      Group<T, N> g = a.dy.template load_group<N>(begin + i);
      const Group<T, N> v = a.y.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j)
        g.v[j] = from_float<T>(softmax_slope(to_float(v.v[j]), to_float(g.v[j]), sum, a.log));
      a.dx.template store_group<N>(begin + i, g);
    }
  }
};

const char* declines_forward(const ExecContext&, const ops::SoftmaxForwardArgs& args) {
  return args.x.format() == args.y.format() ? declines_dtype(args.x) : "the layouts differ";
}
void forward(ExecContext&, ops::SoftmaxForwardArgs& args) {
  if (args.x.numel() == 0) return;
  const Lines lines = Lines::of(args.x, args.attributes.axis);
  gpu::Device& device = device_of(args.x);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (lines.thread_each())
      return launch_map(
          device, lines.count,
          SoftmaxThread<T>{span<T>(args.x), mutable_span<T>(args.y), lines, args.attributes.log});
    visit_group<T>(
        lines.extent % kGroup<T> == 0 && is_aligned(args.x) && is_aligned(args.y), [&](auto n) {
          launch<SoftmaxBlock<T, n()>>(
              device, lines.count, lines.threads(n()),
              {span<T>(args.x), mutable_span<T>(args.y), lines.extent, args.attributes.log},
              kReduceBytes);
        });
  });
}

const char* declines_backward(const ExecContext&, const ops::SoftmaxBackwardArgs& args) {
  return args.y.format() == args.dy.format() && args.y.format() == args.dx.format()
             ? declines_dtype(args.y)
             : "the layouts differ";
}
void backward(ExecContext&, ops::SoftmaxBackwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Lines lines = Lines::of(args.y, args.attributes.axis);
  const bool aligned = is_aligned(args.y) && is_aligned(args.dy) && is_aligned(args.dx),
             log = args.attributes.log;
  gpu::Device& device = device_of(args.y);
  visit_kernel_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Span<const T> y = span<T>(args.y), dy = span<T>(args.dy);
    const Span<T> dx = mutable_span<T>(args.dx);
    if (lines.thread_each())
      return launch_map(device, lines.count, SoftmaxBackwardThread<T>{y, dy, dx, lines, log});
    visit_group<T>(lines.extent % kGroup<T> == 0 && aligned, [&](auto n) {
      launch<SoftmaxBackwardBlock<T, n()>>(device, lines.count, lines.threads(n()),
                                           {y, dy, dx, lines.extent, log}, kReduceBytes);
    });
  });
}

}  // namespace

void register_softmax(KernelSet& set) {
  set.softmax.forward.add({"cuda", declines_forward, forward});
  set.softmax.backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
