// Reductions of integers and bool: a thread a result, sums and products in int64 (they wrap
// around), roots and logarithms in double.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/convert_element.h"
#include "graft/kernels/cuda/device/integer_math.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/reduce.h"

namespace graft::cuda {
namespace {

using ops::Reduce;

template <class T>
struct IntegerReduce {
  static constexpr const char* name = "reduce forward, integers";
  static constexpr int group = 1;
  Span<const T> x;
  Span<T> y;
  Axes kept, reduced;
  int64_t count;
  Reduce function;

  GRAFT_HD int64_t element(int64_t base, int64_t i) const {
    return widen(x.load(base + reduced.offset(i)));
  }
  GRAFT_HD int64_t whole(int64_t base) const {
    int64_t value = function == Reduce::prod ? 1 : 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t v = element(base, i);
      switch (function) {
        case Reduce::prod: value = wrap(unsign(value) * unsign(v)); break;
        case Reduce::max: value = i == 0 || v > value ? v : value; break;
        case Reduce::min: value = i == 0 || v < value ? v : value; break;
        case Reduce::l1: value = wrap(unsign(value) + (v < 0 ? 0 - unsign(v) : unsign(v))); break;
        case Reduce::sum_square: value = wrap(unsign(value) + unsign(v) * unsign(v)); break;
        default: value = wrap(unsign(value) + unsign(v)); break;
      }
    }
    return function == Reduce::mean
               ? static_cast<int64_t>(static_cast<double>(value) / static_cast<double>(count))
               : value;
  }
  GRAFT_HD double real(int64_t base) const {
    double top = 0, sum = 0;
    if (function == Reduce::log_sum_exp)
      for (int64_t i = 0; i < count; ++i)
        top = i == 0 ? static_cast<double>(element(base, i))
                     : fmax(top, static_cast<double>(element(base, i)));
    for (int64_t i = 0; i < count; ++i) {
      const auto v = static_cast<double>(element(base, i));
      sum += function == Reduce::l2 ? v * v : function == Reduce::log_sum ? v : exp(v - top);
    }
    return function == Reduce::l2 ? sqrt(sum) : ::log(sum) + top;
  }
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t base = kept.offset(i);
    const bool is_real =
        function == Reduce::l2 || function == Reduce::log_sum || function == Reduce::log_sum_exp;
    y.store(i, is_real ? narrow<T>(real(base)) : narrow<T>(whole(base)));
  }
};

const char* declines(const ExecContext&, const ops::ReduceForwardArgs& args) {
  return is_floating(args.x.dtype()) ? "only integers" : nullptr;
}

void run(ExecContext&, ops::ReduceForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Tensor& x = args.x;
  const Shape result = ops::reduce_output_shape(x.shape(), args.attributes, true);
  visit_integer_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    IntegerReduce<T> reduce{span<T>(x), mutable_span<T>(args.y),    {},
                            {},         x.numel() / args.y.numel(), args.attributes.function};
    for (int axis = x.rank() - 1; axis >= 0; --axis)
      (result[axis] == x.shape()[axis] ? reduce.kept : reduce.reduced)
          .add(x.shape()[axis], stride_in_memory(x, axis));
    launch_map(device_of(x), args.y.numel(), reduce);
  });
}

}  // namespace

void register_integer_reduce(KernelSet& set) {
  set.reduce.forward.add({"cuda_integers", declines, run});
}

}  // namespace graft::cuda
