// Reductions over axes, in the memory order of x.
#include "graft/kernels/ops/reduce.h"

#include <cmath>
#include <limits>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

using ops::Reduce;

// Strides of the result seen through x's shape: 0 on reduced axes. The result is contiguous either
// way.
Index result_strides(const Shape& x, const ops::ReduceAttributes& attributes) {
  const Shape kept = ops::reduce_output_shape(x, attributes, true);
  Index strides{};
  int64_t step = 1;
  for (int axis = x.rank() - 1; axis >= 0; --axis) {
    if (kept[axis] == x[axis]) strides[static_cast<size_t>(axis)] = kept[axis] == 1 ? 0 : step;
    step *= kept[axis];
  }
  return strides;
}

template <class A>
A plus(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <class A>
A times(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}

// result[r] = the combination of all f(element) that meet in r; within a row that gives one result,
// four at a time.
template <class T, class A, class Term, class Combine>
void combine_terms(const ops::ReduceForwardArgs& args, std::vector<A>& result, A identity,
                   Term&& term, Combine&& combine) {
  const T* x = args.x.data<T>();
  const Walk<2> walk(args.x.shape(),
                     {element_strides(args.x), result_strides(args.x.shape(), args.attributes)});
  walk.for_each_row([&](const std::array<int64_t, 2>& row, int64_t length) {
    const T* from = x + row[0];
    A* to = result.data() + row[1];
    const int64_t step = walk.step(0), out_step = walk.step(1);
    int64_t i = 0;
    if (out_step == 0) {
      A lanes[4] = {identity, identity, identity, identity};
      for (; i + 4 <= length; i += 4)
        for (int64_t lane = 0; lane < 4; ++lane)
          lanes[lane] = combine(lanes[lane], term(convert<A>(from[(i + lane) * step])));
      *to = combine(*to, combine(combine(lanes[0], lanes[1]), combine(lanes[2], lanes[3])));
    }
    for (; i < length; ++i)
      to[i * out_step] = combine(to[i * out_step], term(convert<A>(from[i * step])));
  });
}

// Calls f(element of x, its result) in the memory order of x.
template <class F>
void for_each_reduced(const Tensor& x, const ops::ReduceAttributes& attributes, F&& f) {
  const Walk<2> walk(x.shape(), {element_strides(x), result_strides(x.shape(), attributes)});
  walk.for_each_row([&](const std::array<int64_t, 2>& row, int64_t length) {
    for (int64_t i = 0; i < length; ++i)
      f(row[0] + i * walk.step(0), static_cast<size_t>(row[1] + i * walk.step(1)));
  });
}

bool better(Reduce function, double a, double b) { return function == Reduce::max ? a > b : a < b; }

template <class T>
std::vector<double> extremes(const Tensor& x, const ops::ReduceAttributes& attributes,
                             size_t results) {
  const T* values = x.data<T>();
  std::vector<double> top(results, -std::numeric_limits<double>::infinity());
  for_each_reduced(x, attributes, [&](int64_t at, size_t to) {
    top[to] = std::max(top[to], convert<double>(values[at]));
  });
  for (double& value : top)
    if (!std::isfinite(value)) value = 0;
  return top;
}

// The result in A; `share` is the number of elements that meet in one.
template <class T, class A>
std::vector<A> reduced(const ops::ReduceForwardArgs& args, double share) {
  const Reduce function = args.attributes.function;
  const T* x = args.x.data<T>();
  const auto results = static_cast<size_t>(args.y.numel());
  std::vector<A> result(results, function == Reduce::prod ? A(1) : A(0));
  const auto sums = [&](auto&& term) { combine_terms<T, A>(args, result, A(0), term, plus<A>); };
  switch (function) {
    case Reduce::sum:
    case Reduce::mean:
    case Reduce::log_sum: sums([](A v) { return v; }); break;
    case Reduce::prod:
      combine_terms<T, A>(
          args, result, A(1), [](A v) { return v; }, times<A>);
      break;
    case Reduce::l1: sums([](A v) { return v < A(0) ? times(A(-1), v) : v; }); break;
    case Reduce::l2:
    case Reduce::sum_square: sums([](A v) { return times(v, v); }); break;
    case Reduce::log_sum_exp: {
      const std::vector<double> top = extremes<T>(args.x, args.attributes, results);
      for_each_reduced(args.x, args.attributes, [&](int64_t at, size_t to) {
        result[to] += static_cast<A>(std::exp(convert<double>(x[at]) - top[to]));
      });
      for (size_t i = 0; i < results; ++i)
        result[i] = static_cast<A>(std::log(static_cast<double>(result[i])) + top[i]);
      break;
    }
    case Reduce::max:
    case Reduce::min: {
      std::vector<bool> started(results);
      for_each_reduced(args.x, args.attributes, [&](int64_t at, size_t to) {
        const A value = convert<A>(x[at]);
        if (started[to] && value == value &&
            !better(function, static_cast<double>(value), static_cast<double>(result[to])))
          return;
        result[to] = value;
        started[to] = true;
      });
      break;
    }
  }
  for (A& value : result) {
    const auto v = static_cast<double>(value);
    if (function == Reduce::mean)
      value = static_cast<A>(v / share);
    else if (function == Reduce::l2)
      value = static_cast<A>(std::sqrt(v));
    else if (function == Reduce::log_sum)
      value = static_cast<A>(std::log(v));
  }
  return result;
}

void forward(ExecContext&, ops::ReduceForwardArgs& args) {
  const auto share = static_cast<double>(args.y.numel() ? args.x.numel() / args.y.numel() : 0);
  const Reduce function = args.attributes.function;
  const bool real =
      function == Reduce::l2 || function == Reduce::log_sum || function == Reduce::log_sum_exp;
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* y = args.y.mutable_data<T>();
    const auto store_all = [&](const auto& result) {
      for (size_t i = 0; i < result.size(); ++i) y[i] = convert<T>(result[i]);
    };
    if constexpr (std::is_integral_v<T>) {
      if (!real) return store_all(reduced<T, int64_t>(args, share));
    }
    store_all(reduced<T, double>(args, share));
  });
}

// What the gradient of one result needs to know of all its elements: how many equal the extreme, or
// the product of those that are not 0 and the number of zeros.
struct ReducedGroup {
  double equal = 0, product = 1;
  int zeros = 0;
};

double reduce_slope(Reduce function, double x, double y, double share, const ReducedGroup& group) {
  switch (function) {
    case Reduce::sum: return 1;
    case Reduce::mean: return 1 / share;
    case Reduce::max:
    case Reduce::min: return x == y ? 1 / group.equal : 0;
    case Reduce::prod:
      return x == 0 ? (group.zeros == 1 ? group.product : 0)
                    : (group.zeros == 0 ? group.product / x : 0);
    case Reduce::l1: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Reduce::l2: return y == 0 ? 0 : x / y;
    case Reduce::log_sum: return std::exp(-y);
    case Reduce::log_sum_exp: return std::exp(x - y);
    case Reduce::sum_square: return 2 * x;
  }
  return 0;
}

void backward(ExecContext&, ops::ReduceBackwardArgs& args) {
  const auto share = static_cast<double>(args.y.numel() ? args.x.numel() / args.y.numel() : 0);
  const Reduce function = args.attributes.function;
  visit_floating(args.x.dtype(), "reduce", [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.x.data<T>(), *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    std::vector<ReducedGroup> groups(static_cast<size_t>(args.y.numel()));
    if (function == Reduce::max || function == Reduce::min || function == Reduce::prod)
      for_each_reduced(args.x, args.attributes, [&](int64_t at, size_t to) {
        const double value = convert<double>(x[at]);
        groups[to].equal += value == convert<double>(y[to]);
        if (value == 0)
          ++groups[to].zeros;
        else
          groups[to].product *= value;
      });
    for_each_reduced(args.x, args.attributes, [&](int64_t at, size_t to) {
      dx[at] = convert<T>(convert<double>(dy[to]) * reduce_slope(function, convert<double>(x[at]),
                                                                 convert<double>(y[to]), share,
                                                                 groups[to]));
    });
  });
}

}  // namespace

void register_reduce(ops::ReduceKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
