// normalize: layer, group, instance and RMS norm, a block a row; two passes, so that the variance
// is one of centred values.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/lines.h"
#include "graft/kernels/cuda/device/block_sum.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/normalize.h"

namespace graft::cuda {
namespace {

template <class T, int N>
struct NormalizeRow {
  static constexpr const char* name = "normalize forward";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> x;
    Span<T> y;
    Span<double> scales;  // or empty
    int64_t extent;
    float eps;
    bool center;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int64_t begin = t.block() * a.extent, first = int64_t{t.thread()} * N,
                  step = int64_t{t.threads()} * N;
    const auto count = static_cast<float>(a.extent);
    float mean = 0;
    if (a.center) {
      for (int64_t i = first; i < a.extent; i += step) {
        const Group<T, N> v = a.x.template load_group<N>(begin + i);
        for (int j = 0; j < N; ++j) mean += to_float(v.v[j]);
      }
      mean = block_reduce<Sum>(t, scratch, mean) / count;
    }
    float squares = 0;
    for (int64_t i = first; i < a.extent; i += step) {
      const Group<T, N> v = a.x.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) {
        const float centred = to_float(v.v[j]) - mean;
        squares += centred * centred;
      }
    }
    const float scale = 1.f / sqrtf(block_reduce<Sum>(t, scratch, squares) / count + a.eps);
    for (int64_t i = first; i < a.extent; i += step) {
      Group<T, N> v = a.x.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j) v.v[j] = from_float<T>((to_float(v.v[j]) - mean) * scale);
      a.y.template store_group<N>(begin + i, v);
    }
    if (t.thread() == 0 && a.scales) a.scales.store(t.block(), static_cast<double>(scale));
  }
};

// dx = scale * (dy - mean(dy) - y * mean(dy * y)); without centring mean(dy) is left out.
template <class T, int N>
struct NormalizeRowBackward {
  static constexpr const char* name = "normalize backward";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> y, dy;
    Span<const double> scales;
    Span<T> dx;
    int64_t extent;
    bool center;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int64_t begin = t.block() * a.extent, first = int64_t{t.thread()} * N,
                  step = int64_t{t.threads()} * N;
    const auto count = static_cast<float>(a.extent);
    float mean = 0, along = 0;
    for (int64_t i = first; i < a.extent; i += step) {
      const Group<T, N> g = a.dy.template load_group<N>(begin + i),
                        v = a.y.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j)
        mean += to_float(g.v[j]), along += to_float(g.v[j]) * to_float(v.v[j]);
    }
    mean = a.center ? block_reduce<Sum>(t, scratch, mean) / count : 0.f;
    along = block_reduce<Sum>(t, scratch, along) / count;
    const auto scale = static_cast<float>(a.scales.load(t.block()));
    for (int64_t i = first; i < a.extent; i += step) {
      Group<T, N> g = a.dy.template load_group<N>(begin + i);
      const Group<T, N> v = a.y.template load_group<N>(begin + i);
      for (int j = 0; j < N; ++j)
        g.v[j] = from_float<T>(scale * (to_float(g.v[j]) - mean - to_float(v.v[j]) * along));
      a.dx.template store_group<N>(begin + i, g);
    }
  }
};

// Rows as lines of everything behind `axis`.
Lines rows_of(const Tensor& t, int axis) {
  return {t.shape().product(0, axis), t.shape().product(axis, t.rank()), 1};
}

const char* declines_order(const Tensor& t) {
  return t.format() == MemoryFormat::contiguous ? declines_dtype(t)
                                                : "memory order is not contiguous";
}

const char* declines_forward(const ExecContext&, const ops::NormalizeForwardArgs& args) {
  return declines_order(args.x);
}
void forward(ExecContext&, ops::NormalizeForwardArgs& args) {
  if (args.x.numel() == 0) return;
  const Lines rows = rows_of(args.x, args.attributes.axis);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(
        rows.extent % kGroup<T> == 0 && is_aligned(args.x) && is_aligned(args.y), [&](auto n) {
          launch<NormalizeRow<T, n()>>(
              device_of(args.x), rows.count, rows.threads(n()),
              {span<T>(args.x), mutable_span<T>(args.y), mutable_span<double>(args.scales),
               rows.extent, static_cast<float>(args.attributes.eps), args.attributes.center},
              kReduceBytes);
        });
  });
}

const char* declines_backward(const ExecContext&, const ops::NormalizeBackwardArgs& args) {
  return declines_order(args.y);
}
void backward(ExecContext&, ops::NormalizeBackwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Lines rows = rows_of(args.y, args.attributes.axis);
  visit_kernel_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(rows.extent % kGroup<T> == 0 && is_aligned(args.y) && is_aligned(args.dy) &&
                       is_aligned(args.dx),
                   [&](auto n) {
                     launch<NormalizeRowBackward<T, n()>>(
                         device_of(args.y), rows.count, rows.threads(n()),
                         {span<T>(args.y), span<T>(args.dy), span<double>(args.scales),
                          mutable_span<T>(args.dx), rows.extent, args.attributes.center},
                         kReduceBytes);
                   });
  });
}

}  // namespace

void register_normalize(KernelSet& set) {
  set.normalize.forward.add({"cuda", declines_forward, forward});
  set.normalize.backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
