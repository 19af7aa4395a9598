// The place of an extreme, the k largest and running sums along an axis.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/lines.h"
#include "graft/kernels/cuda/device/convert_element.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/order.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/ordering.h"

namespace graft::cuda {
namespace {

template <class T>
struct ArgExtremeThread {
  static constexpr const char* name = "arg_extreme";
  static constexpr int group = 1;
  Span<const T> x;
  Span<int64_t> y;
  Lines lines;
  bool largest, last;
  template <int M>
  GRAFT_HD void at(int64_t line) const {
    const int64_t begin = lines.begin(line);
    Extreme<Wide<T>> best{{}, -1};
    for (int64_t i = 0; i < lines.extent; ++i)
      best = better_extreme(best, {widen(x.load(begin + i * lines.step)), i}, largest, last);
    y.store(line, best.at);
  }
};

template <class T>
struct ArgExtremeBlock {
  static constexpr const char* name = "arg_extreme";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> x;
    Span<int64_t> y;
    int64_t extent;
    bool largest, last;
  };
  using A = Wide<T>;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(A) + sizeof(int64_t));
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto values = t.template shared<A>(kThreads);
    const auto places = t.template shared<int64_t>(kThreads);
    Extreme<A> best{{}, -1};
    for (int64_t i = t.thread(); i < a.extent; i += t.threads())
      best =
          better_extreme(best, {widen(a.x.load(t.block() * a.extent + i)), i}, a.largest, a.last);
    values.set(t.thread(), best.value), places.set(t.thread(), best.at);
    for (int half = kThreads / 2; half > 0; half /= 2) {
      t.sync();
      if (t.thread() >= half) continue;
      best = better_extreme(best, {values.get(t.thread() + half), places.get(t.thread() + half)},
                            a.largest, a.last);
      values.set(t.thread(), best.value), places.set(t.thread(), best.at);
    }
    if (t.thread() == 0) a.y.store(t.block(), best.at);
  }
};

// A block a line. Each thread counts how many elements come before its own, and stops at k: those
// with fewer are the result, at that place. First a few elements are found that the k-th cannot lie
// behind, so that most threads have nothing to count.
template <class T>
struct TopK {
  static constexpr const char* name = "topk";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> x;
    Span<T> values;
    Span<int64_t> indices;
    Lines from, to;
    int64_t k;
    bool largest;
  };
  using A = Wide<T>;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(A) + sizeof(int64_t));

  // The k-th of the first elements that the threads look at: whatever comes behind it is not among
  // the k of the line.
  template <class Thread>
  GRAFT_HD static Extreme<A> bound(Thread& t, const Args& a, int64_t begin) {
    const auto values = t.template shared<A>(kThreads);
    const auto places = t.template shared<int64_t>(kThreads);
    const int64_t step = a.from.extent / t.threads();  // a sample of the line
    const int64_t own_at = t.thread() * step;
    const A own = widen(a.x.load(begin + own_at * a.from.step));
    values.set(t.thread(), own), places.set(t.thread(), own_at);
    t.sync();
    int rank = 0;
    for (int i = 0; i < t.threads(); ++i)
      rank += comes_first(values.get(i), places.get(i), own, own_at, a.largest) ? 1 : 0;
    t.sync();
    if (rank == a.k - 1) values.set(0, own), places.set(0, own_at);
    t.sync();
    return {values.get(0), places.get(0)};
  }

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const int64_t begin = a.from.begin(t.block()), to = a.to.begin(t.block());
    const bool bounded = a.k <= t.threads() && a.from.extent >= 4 * t.threads();
    const Extreme<A> least = bounded ? bound(t, a, begin) : Extreme<A>{{}, -1};
    for (int64_t i = t.thread(); i < a.from.extent; i += t.threads()) {
      const T element = a.x.load(begin + i * a.from.step);
      const A own = widen(element);
      if (least.at >= 0 && comes_first(least.value, least.at, own, i, a.largest)) continue;
      int64_t rank = 0;
      for (int64_t j = 0; j < a.from.extent && rank < a.k; ++j)
        rank += comes_first(widen(a.x.load(begin + j * a.from.step)), j, own, i, a.largest) ? 1 : 0;
      if (rank >= a.k) continue;
      a.values.store(to + rank * a.to.step, element);
      a.indices.store(to + rank * a.to.step, i);
    }
  }
};

// What running sums are kept in: integers wrap around.
template <class T>
using Running = std::conditional_t<std::is_integral_v<T>, uint64_t, float>;

// From the axis's begin, or its end.
struct Direction {
  int64_t extent;
  bool exclusive, reverse;
  GRAFT_HD int64_t place(int64_t n) const { return reverse ? extent - 1 - n : n; }
};

template <class T>
struct CumulativeThread {
  static constexpr const char* name = "cumulative_sum";
  static constexpr int group = 1;
  Span<const T> x;
  Span<T> y;
  Lines lines;
  Direction direction;
  template <int M>
  GRAFT_HD void at(int64_t line) const {
    const int64_t begin = lines.begin(line);
    Running<T> sum = 0;
    for (int64_t n = 0; n < lines.extent; ++n) {
      const int64_t i = begin + direction.place(n) * lines.step;
      const auto value = static_cast<Running<T>>(widen(x.load(i)));
      if (!direction.exclusive) sum += value;
      y.store(i, narrow<T>(static_cast<Wide<T>>(sum)));
      if (direction.exclusive) sum += value;
    }
  }
};

// A block a line: as many elements at a time as it has threads, each time a scan in shared memory.
template <class T>
struct CumulativeBlock {
  static constexpr const char* name = "cumulative_sum";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> x;
    Span<T> y;
    Direction direction;
  };
  using R = Running<T>;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(R));
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scan = t.template shared<R>(kThreads);
    const int64_t extent = a.direction.extent, begin = t.block() * extent;
    R before = 0;
    for (int64_t first = 0; first < extent; first += t.threads()) {
      const int64_t n = first + t.thread(), i = begin + a.direction.place(n);
      const R own = n < extent ? static_cast<R>(widen(a.x.load(i))) : R(0);
      R sum = own;
      for (int reach = 1; reach < t.threads(); reach *= 2) {
        scan.set(t.thread(), sum);
        t.sync();
        if (t.thread() >= reach) sum += scan.get(t.thread() - reach);
        t.sync();
      }
      scan.set(t.thread(), sum);
      t.sync();
      const R total = scan.get(t.threads() - 1),
              left = t.thread() > 0 ? scan.get(t.thread() - 1) : R(0);
      t.sync();
      if (n < extent)
        a.y.store(i,
                  narrow<T>(static_cast<Wide<T>>(before + (a.direction.exclusive ? left : sum))));
      before += total;
    }
  }
};

template <class Args>
const char* declines_f64(const ExecContext&, const Args& args) {
  return args.x.dtype() == DType::f64 ? "no f64" : nullptr;
}

void arg_extreme(ExecContext&, ops::ArgExtremeArgs& args) {
  const Lines lines = Lines::of(args.x, args.attributes.axis);
  const bool largest = args.attributes.largest, last = args.attributes.last;
  gpu::Device& device = device_of(args.x);
  visit_number_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Span<const T> x = span<T>(args.x);
    const Span<int64_t> y = mutable_span<int64_t>(args.y);
    if (lines.thread_each())
      return launch_map(device, lines.count, ArgExtremeThread<T>{x, y, lines, largest, last});
    launch<ArgExtremeBlock<T>>(device, lines.count, kThreads, {x, y, lines.extent, largest, last},
                               ArgExtremeBlock<T>::shared_bytes);
  });
}

void topk(ExecContext&, ops::TopKArgs& args) {
  if (args.values.numel() == 0) return;
  const Lines from = Lines::of(args.x, args.attributes.axis),
              to = Lines::of(args.values, args.attributes.axis);
  const int threads = from.extent <= 64 ? 32 : kThreads;
  visit_number_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch<TopK<T>>(
        device_of(args.x), from.count, threads,
        {span<T>(args.x), mutable_span<T>(args.values), mutable_span<int64_t>(args.indices), from,
         to, args.attributes.k, args.attributes.largest},
        TopK<T>::shared_bytes);
  });
}

void cumulative_sum(ExecContext&, ops::CumulativeSumArgs& args) {
  if (args.x.numel() == 0) return;
  const Lines lines = Lines::of(args.x, args.attributes.axis);
  const Direction direction{lines.extent, args.attributes.exclusive, args.attributes.reverse};
  gpu::Device& device = device_of(args.x);
  visit_number_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Span<const T> x = span<T>(args.x);
    const Span<T> y = mutable_span<T>(args.y);
    if (lines.thread_each())
      return launch_map(device, lines.count, CumulativeThread<T>{x, y, lines, direction});
    launch<CumulativeBlock<T>>(device, lines.count, kThreads, {x, y, direction},
                               CumulativeBlock<T>::shared_bytes);
  });
}

}  // namespace

void register_ordering(KernelSet& set) {
  set.ordering.arg_extreme.add({"cuda", declines_f64<ops::ArgExtremeArgs>, arg_extreme});
  set.ordering.topk.add({"cuda", declines_f64<ops::TopKArgs>, topk});
  set.ordering.cumulative_sum.add({"cuda", declines_f64<ops::CumulativeSumArgs>, cumulative_sum});
}

}  // namespace graft::cuda
