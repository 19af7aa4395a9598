// Extremes' places, the k largest and running sums, line by line along an axis.
#include "graft/kernels/ops/ordering.h"

#include <algorithm>
#include <numeric>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// Calls f(offset of the first element in a, in b) for the lines along `axis` that both have.
template <class F>
void for_each_line_of(const Tensor& a, const Tensor& b, int axis, F&& f) {
  const Index sa = element_strides(a), sb = element_strides(b);
  for_each_index(a.shape().with(axis, 1), [&](const Index& i) {
    f(offset_of(i, sa, a.rank()), offset_of(i, sb, a.rank()));
  });
}

// a comes before b when looking for the largest (or smallest); NaN counts as largest.
template <class A>
bool comes_first(A a, A b, bool largest) {
  if (a != a || b != b) return largest ? a != a && b == b : a == a && b != b;
  return largest ? a > b : a < b;
}

void arg_extreme(ExecContext&, ops::ArgExtremeArgs& args) {
  const int axis = args.attributes.axis;  // no structured bindings: Clang 14 captures none
  const bool largest = args.attributes.largest, last = args.attributes.last;
  const int64_t count = args.x.shape()[axis],
                step = element_strides(args.x)[static_cast<size_t>(axis)];
  int64_t* y = args.y.mutable_data<int64_t>();
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using A = Accumulator<decltype(zero)>;
    const auto* x = args.x.data<decltype(zero)>();
    for_each_line_of(args.y, args.x, axis, [&](int64_t to, int64_t from) {
      int64_t best = 0;
      for (int64_t i = 1; i < count; ++i) {
        const A value = convert<A>(x[from + i * step]), old = convert<A>(x[from + best * step]);
        const bool nan = value != value, old_nan = old != old;
        const bool better =
            nan || old_nan ? nan && !old_nan : (largest ? value > old : value < old);
        const bool same = nan == old_nan && (nan || value == old);
        if (better || (last && same)) best = i;
      }
      y[to] = best;
    });
  });
}

void topk(ExecContext&, ops::TopKArgs& args) {
  if (args.values.numel() == 0) return;
  const int axis = args.attributes.axis;
  const int64_t k = args.attributes.k;
  const bool largest = args.attributes.largest;
  const auto at = static_cast<size_t>(axis);
  const int64_t count = args.x.shape()[axis], step = element_strides(args.x)[at],
                out_step = element_strides(args.values)[at];
  int64_t* indices = args.indices.mutable_data<int64_t>();
  std::vector<int64_t> order(static_cast<size_t>(count));
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* values = args.values.mutable_data<T>();
    for_each_line_of(args.x, args.values, axis, [&](int64_t from, int64_t to) {
      std::iota(order.begin(), order.end(), int64_t{0});
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
        const A u = convert<A>(x[from + a * step]), v = convert<A>(x[from + b * step]);
        return comes_first(u, v, largest) || (!comes_first(v, u, largest) && a < b);
      });
      for (int64_t i = 0; i < k; ++i) {
        indices[to + i * out_step] = order[static_cast<size_t>(i)];
        values[to + i * out_step] = x[from + order[static_cast<size_t>(i)] * step];
      }
    });
  });
}

void cumulative_sum(ExecContext&, ops::CumulativeSumArgs& args) {
  const int axis = args.attributes.axis;
  const bool exclusive = args.attributes.exclusive, reverse = args.attributes.reverse;
  const int64_t count = args.x.shape()[axis],
                step = element_strides(args.x)[static_cast<size_t>(axis)];
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_line_of(args.x, args.y, axis, [&](int64_t from, int64_t to) {
      A sum{};
      for (int64_t n = 0; n < count; ++n) {
        const int64_t i = (reverse ? count - 1 - n : n) * step;
        const A value = static_cast<A>(
            convert<std::conditional_t<std::is_integral_v<T>, int64_t, double>>(x[from + i]));
        if (!exclusive) sum += value;
        y[to + i] = convert<T>(sum);
        if (exclusive) sum += value;
      }
    });
  });
}

}  // namespace

void register_ordering(ops::OrderingKernels& kernels) {
  kernels.arg_extreme.add({"reference", takes_all, arg_extreme});
  kernels.topk.add({"reference", takes_all, topk});
  kernels.cumulative_sum.add({"reference", takes_all, cumulative_sum});
}

}  // namespace graft::reference
