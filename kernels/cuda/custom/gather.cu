// Slices of a tensor that an index tensor names: embedding, its rows. An index that is no slice gives NaN and no gradient:
// looking at it would wait for the GPU.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/indexing.h"

namespace graft::cuda {
namespace {

// x [outer, extent, inner], the result [outer, count, inner].
struct Slices {
  int64_t outer, extent, count, inner;
  static Slices of(const Shape& x, const Tensor& indices, int axis) {
    const int at = axis < 0 ? axis + x.rank() : axis;
    return {x.product(0, at), x[at], indices.numel(), x.product(at + 1, x.rank())};
  }
};

// The slice that index k names; -1: none.
template <class I>
GRAFT_HD int64_t slice_of(const Span<const I>& indices, int64_t k, int64_t extent) {
  const auto index = static_cast<int64_t>(indices.load(k));
  const int64_t slice = index < 0 ? index + extent : index;
  return slice < 0 || slice >= extent ? -1 : slice;
}

template <class T, class I>
struct GatherForward {
  static constexpr const char* name = "gather forward";
  static constexpr int group = 1;
  Span<const T> x;
  Span<const I> indices;
  Span<T> y;
  Slices s;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t slice = slice_of(indices, i / s.inner % s.count, s.extent);
    y.store(i, slice < 0 ? from_float<T>(NAN) : x.load((i / s.inner / s.count * s.extent + slice) * s.inner + i % s.inner));
  }
};

// A block a slice of dx: it looks through all indices, kThreads at a time, and adds the rows that name it in their order.
template <class T, class I>
struct GatherBackward {
  static constexpr const char* name = "gather backward";
  static constexpr bool cooperates = true;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(int32_t));
  struct Args {
    Span<const T> dy;
    Span<const I> indices;
    Span<T> dx;
    Slices s;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto named = t.template shared<int32_t>(kThreads);
    const Slices& s = a.s;
    const int64_t slice = t.block() % s.extent, row = t.block() / s.extent;
    for (int64_t begin = 0; begin < s.inner; begin += t.threads()) {
      const int64_t column = begin + t.thread();
      float sum = 0;
      for (int64_t first = 0; first < s.count; first += t.threads()) {
        const int64_t k = first + t.thread();
        named.set(t.thread(), k < s.count && slice_of(a.indices, k, s.extent) == slice ? 1 : 0);
        t.sync();
        for (int i = 0; i < t.threads(); ++i)
          if (named.get(i) && column < s.inner) sum += to_float(a.dy.load((row * s.count + first + i) * s.inner + column));
        t.sync();
      }
      if (column < s.inner) a.dx.store((row * s.extent + slice) * s.inner + column, from_float<T>(sum));
    }
  }
};

const char* declines_slices(const Tensor& x, const Tensor& indices, const ops::GatherAttributes& attributes) {
  if (attributes.indexing != ops::Indexing::slices) return "only slices along an axis";
  if (indices.dtype() != DType::i64 && indices.dtype() != DType::i32) return "indices are neither i64 nor i32";
  return declines_dtype(x);
}
// Calls f(T{}, I{}).
template <class F>
void visit_types(DType dtype, DType index, F&& f) {
  visit_kernel_dtype(dtype, [&](auto zero) {
    if (index == DType::i64) f(zero, int64_t{});
    else f(zero, int32_t{});
  });
}

const char* declines_forward(const ExecContext&, const ops::GatherForwardArgs& args) { return declines_slices(args.x, args.indices, args.attributes); }
void forward(ExecContext&, ops::GatherForwardArgs& args) {
  visit_types(args.x.dtype(), args.indices.dtype(), [&](auto zero, auto index) {
    using T = decltype(zero);
    using I = decltype(index);
    launch_map(device_of(args.x), args.y.numel(),
               GatherForward<T, I>{span<T>(args.x), span<I>(args.indices), mutable_span<T>(args.y), Slices::of(args.x.shape(), args.indices, args.attributes.axis)});
  });
}

const char* declines_backward(const ExecContext&, const ops::GatherBackwardArgs& args) { return declines_slices(args.dx, args.indices, args.attributes); }
void backward(ExecContext&, ops::GatherBackwardArgs& args) {
  if (args.dx.numel() == 0) return;
  const Slices s = Slices::of(args.dx.shape(), args.indices, args.attributes.axis);
  visit_types(args.dx.dtype(), args.indices.dtype(), [&](auto zero, auto index) {
    using T = decltype(zero);
    using I = decltype(index);
    using Body = GatherBackward<T, I>;
    launch<Body>(device_of(args.dx), s.outer * s.extent, kThreads, {span<T>(args.dy), span<I>(args.indices), mutable_span<T>(args.dx), s}, Body::shared_bytes);
  });
}

}  // namespace

void register_gather(KernelSet& set) {
  set.indexing.gather_forward.add({"cuda", declines_forward, forward});
  set.indexing.gather_backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
