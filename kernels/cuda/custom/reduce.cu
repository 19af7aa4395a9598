// Reductions over a set of axes: a thread or a block a result, each in an order that the shape
// fixes.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/block_sum.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/reduce.h"

namespace graft::cuda {
namespace {

using ops::Reduce;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

GRAFT_HD float combine_of(Reduce function, float a, float b) {
  switch (function) {
    case Reduce::prod: return a * b;
    case Reduce::max: return a != a || a > b ? a : b;  // a NaN stays
    case Reduce::min: return a != a || a < b ? a : b;
    default: return a + b;
  }
}
GRAFT_HD float identity_of(Reduce function) {
  return function == Reduce::prod  ? 1.f
         : function == Reduce::max ? -kInfinity
         : function == Reduce::min ? kInfinity
                                   : 0.f;
}
// `shift`: log_sum_exp's largest element.
GRAFT_HD float term_of(Reduce function, float x, float shift) {
  switch (function) {
    case Reduce::l1: return fabsf(x);
    case Reduce::l2:
    case Reduce::sum_square: return x * x;
    case Reduce::log_sum_exp: return expf(x - shift);
    default: return x;
  }
}
GRAFT_HD float finish_of(Reduce function, float value, float count, float shift) {
  switch (function) {
    case Reduce::mean: return value / count;
    case Reduce::l2: return sqrtf(value);
    case Reduce::log_sum: return logf(value);
    case Reduce::log_sum_exp: return logf(value) + shift;
    default: return value;
  }
}

// What a pass over x is for: the result, or what its gradient needs to know of all elements that
// meet in one.
enum class Purpose : unsigned char { result, equal_to_extreme, zeros, product_without_zeros };

// x as results that each have `count` elements.
template <class T>
struct Reduced {
  Span<const T> x;
  Axes kept, reduced;
  int64_t results, count;
  Reduce function;
  Purpose purpose = Purpose::result;
  Span<const T> extremes{};  // equal_to_extreme: the results

  // Elements first, first + step ... of a result, combined.
  GRAFT_HD float part(int64_t result, int64_t first, int64_t step, Reduce how, float shift) const {
    const int64_t base = kept.offset(result);
    float value = identity_of(how);
    for (int64_t i = first; i < count; i += step)
      value =
          combine_of(how, value, term_of(how, to_float(x.load(base + reduced.offset(i))), shift));
    return value;
  }
  // The same of a pass for the gradient: how many elements equal the extreme or 0; or the product
  // of the others.
  GRAFT_HD float part_for_gradient(int64_t result, int64_t first, int64_t step) const {
    const int64_t base = kept.offset(result);
    const float sought =
        purpose == Purpose::equal_to_extreme ? to_float(extremes.load(result)) : 0.f;
    float found = 0, product = 1;
    for (int64_t i = first; i < count; i += step) {
      const float value = to_float(x.load(base + reduced.offset(i)));
      if (value == sought)
        found += 1;
      else
        product *= value;
    }
    return purpose == Purpose::product_without_zeros ? product : found;
  }
};

GRAFT_HD float finite_or_zero(float value) { return value - value == 0 ? value : 0.f; }

template <class T, class Y>
struct ReduceThread {  // a thread a result
  static constexpr const char* name = "reduce forward";
  static constexpr int group = 1;
  Reduced<T> from;
  Span<Y> y;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    if (from.purpose != Purpose::result)
      return y.store(i, from_float<Y>(from.part_for_gradient(i, 0, 1)));
    const Reduce f = from.function;
    const float shift =
        f == Reduce::log_sum_exp ? finite_or_zero(from.part(i, 0, 1, Reduce::max, 0)) : 0.f;
    y.store(i, from_float<Y>(finish_of(f, from.part(i, 0, 1, f, shift),
                                       static_cast<float>(from.count), shift)));
  }
};

template <class T, class Y>
struct ReduceBlock {  // a block a result
  static constexpr const char* name = "reduce forward";
  static constexpr bool cooperates = true;
  struct Args {
    Reduced<T> from;
    Span<Y> y;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const Reduced<T>& from = a.from;
    const int64_t result = t.block();
    const auto combined = [&](Reduce how, float shift) {
      return block_combine(t, scratch, from.part(result, t.thread(), t.threads(), how, shift),
                           [how](float u, float v) { return combine_of(how, u, v); });
    };
    float value = 0;
    if (from.purpose != Purpose::result) {
      const bool product = from.purpose == Purpose::product_without_zeros;
      value = block_combine(t, scratch, from.part_for_gradient(result, t.thread(), t.threads()),
                            [product](float u, float v) { return product ? u * v : u + v; });
    } else {
      const float shift =
          from.function == Reduce::log_sum_exp ? finite_or_zero(combined(Reduce::max, 0)) : 0.f;
      value = finish_of(from.function, combined(from.function, shift),
                        static_cast<float>(from.count), shift);
    }
    if (t.thread() == 0) a.y.store(result, from_float<Y>(value));
  }
};

template <class T>
struct ReduceBackward {
  static constexpr const char* name = "reduce backward";
  static constexpr int group = 1;
  Span<const T> x, y, dy;
  Span<const float> counts;    // max, min: how many share the gradient; prod: how many are 0
  Span<const float> products;  // prod: of the others
  Span<T> dx;
  Axes result;  // from x's memory order to the result
  float count;
  Reduce function;
  GRAFT_HD float slope(int64_t r, float value, float reduced) const {
    switch (function) {
      case Reduce::mean: return 1.f / count;
      case Reduce::max:
      case Reduce::min: return value == reduced ? 1.f / counts.load(r) : 0.f;
      case Reduce::prod:
        return counts.load(r) == (value == 0 ? 1.f : 0.f)
                   ? products.load(r) / (value == 0 ? 1.f : value)
                   : 0.f;
      case Reduce::l1: return value > 0 ? 1.f : value < 0 ? -1.f : 0.f;
      case Reduce::l2: return reduced == 0 ? 0.f : value / reduced;
      case Reduce::log_sum: return expf(-reduced);
      case Reduce::log_sum_exp: return expf(value - reduced);
      case Reduce::sum_square: return 2.f * value;
      default: return 1.f;
    }
  }
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t r = result.offset(i);
    dx.store(i, from_float<T>(to_float(dy.load(r)) *
                              slope(r, to_float(x.load(i)), to_float(y.load(r)))));
  }
};

// Which of x's axes stay, as strides of the contiguous result: 0 on the others.
struct ResultStrides {
  Shape kept;
  int64_t stride[Shape::max_rank]{};
  ResultStrides(const Shape& x, const ops::ReduceAttributes& attributes)
      : kept(ops::reduce_output_shape(x, attributes, true)) {
    int64_t step = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      if (kept[axis] == x[axis]) stride[axis] = kept[axis] == 1 ? 0 : step;
      step *= kept[axis];
    }
  }
};

template <class T>
Reduced<T> reduced_of(const Tensor& x, const ops::ReduceAttributes& attributes, int64_t results) {
  const Shape kept = ops::reduce_output_shape(x.shape(), attributes, true);
  Reduced<T> from{span<T>(x),         {}, {}, results, results ? x.numel() / results : 0,
                  attributes.function};
  for (int axis = x.rank() - 1; axis >= 0; --axis)
    if (kept[axis] == x.shape()[axis]) from.kept.add(kept[axis], stride_in_memory(x, axis));
  for (int place = 0; place < x.rank(); ++place) {
    const int axis = axis_in_memory(x, place);
    if (kept[axis] != x.shape()[axis]) from.reduced.add(x.shape()[axis], stride_in_memory(x, axis));
  }
  return from;
}

// Long reductions get a block each, short ones a thread.
template <class T, class Y>
void launch_reduce(gpu::Device& device, const Reduced<T>& from, Span<Y> y) {
  constexpr int64_t short_count = 64;
  if (from.count < short_count)
    return launch_map(device, from.results, ReduceThread<T, Y>{from, y});
  launch<ReduceBlock<T, Y>>(device, from.results, kThreads, {from, y}, kReduceBytes);
}

const char* declines_forward(const ExecContext&, const ops::ReduceForwardArgs& args) {
  return declines_dtype(args.x);
}

void forward(ExecContext&, ops::ReduceForwardArgs& args) {
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_reduce<T, T>(device_of(args.x), reduced_of<T>(args.x, args.attributes, args.y.numel()),
                        mutable_span<T>(args.y));
  });
}

const char* declines_backward(const ExecContext&, const ops::ReduceBackwardArgs& args) {
  if (args.dx.format() != args.x.format()) return "the layouts differ";
  return declines_dtype(args.x);
}

void backward(ExecContext&, ops::ReduceBackwardArgs& args) {
  const gpu::OperationName operation("reduce backward");
  const Tensor& x = args.x;
  gpu::Device& device = device_of(x);
  const ResultStrides strides(x.shape(), args.attributes);
  Axes result;
  for (int place = 0; place < x.rank(); ++place)
    result.add(x.shape()[axis_in_memory(x, place)], strides.stride[axis_in_memory(x, place)]);
  visit_kernel_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor counts, products;
    const Reduced<T> from = reduced_of<T>(x, args.attributes, args.y.numel());
    const auto pass = [&](Purpose purpose) {
      Tensor known = Tensor::empty(args.y.shape(), {.device = x.device()});
      Reduced<T> again = from;
      again.purpose = purpose, again.extremes = span<T>(args.y);
      launch_reduce<T, float>(device, again, mutable_span<float>(known));
      return known;
    };
    const Reduce function = args.attributes.function;
    if (function == Reduce::max || function == Reduce::min)
      counts = pass(Purpose::equal_to_extreme);
    if (function == Reduce::prod)
      counts = pass(Purpose::zeros), products = pass(Purpose::product_without_zeros);
    launch_map(device, x.numel(),
               ReduceBackward<T>{span<T>(x), span<T>(args.y), span<T>(args.dy),
                                 span<float>(counts.defined() ? &counts : nullptr),
                                 span<float>(products.defined() ? &products : nullptr),
                                 mutable_span<T>(args.dx), result, static_cast<float>(from.count),
                                 function});
  });
}

}  // namespace

void register_reduce(KernelSet& set) {
  set.reduce.forward.add({"cuda", declines_forward, forward});
  set.reduce.backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
