// Reductions over axes, in logical order.
#include "graft/kernels/ops/reduce.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::Reduce;

// Strides of the result seen through x's shape: 0 on reduced axes. The result is contiguous either way.
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

bool better(Reduce function, double a, double b) { return function == Reduce::max ? a > b : a < b; }

void forward(ExecContext&, ops::ReduceForwardArgs& args) {
  const Shape& shape = args.x.shape();
  const Index sx = element_strides(args.x), sy = result_strides(shape, args.attributes);
  const auto share = static_cast<double>(args.y.numel() ? shape.numel() / args.y.numel() : 0);
  const Reduce function = args.attributes.function;
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
    const T* x = args.x.data<T>();
    std::vector<A> result(static_cast<size_t>(args.y.numel()));
    std::vector<bool> started(result.size());
    for_each_index(shape, [&](const Index& i) {
      const A value = convert<A>(x[offset_of(i, sx, shape.rank())]);
      const auto to = static_cast<size_t>(offset_of(i, sy, shape.rank()));
      if (function == Reduce::sum || function == Reduce::mean) {
        result[to] += value;
      } else if (!started[to] || value != value || better(function, static_cast<double>(value), static_cast<double>(result[to]))) {
        result[to] = value;
        started[to] = true;
      }
    });
    T* y = args.y.mutable_data<T>();
    for (size_t i = 0; i < result.size(); ++i)
      y[i] = convert<T>(function == Reduce::mean ? static_cast<A>(static_cast<double>(result[i]) / share) : result[i]);
  });
}

void backward(ExecContext&, ops::ReduceBackwardArgs& args) {
  const Shape& shape = args.x.shape();
  const Index sx = element_strides(args.x), sy = result_strides(shape, args.attributes);
  const auto share = static_cast<double>(args.y.numel() ? shape.numel() / args.y.numel() : 0);
  const Reduce function = args.attributes.function;
  visit_floating(args.x.dtype(), "reduce", [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.x.data<T>(), *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    std::vector<double> equal(static_cast<size_t>(args.y.numel()));
    for_each_index(shape, [&](const Index& i) {
      const int64_t to = offset_of(i, sy, shape.rank());
      equal[static_cast<size_t>(to)] += convert<double>(x[offset_of(i, sx, shape.rank())]) == convert<double>(y[to]);
    });
    for_each_index(shape, [&](const Index& i) {
      const int64_t at = offset_of(i, sx, shape.rank()), to = offset_of(i, sy, shape.rank());
      double g = convert<double>(dy[to]);
      if (function == Reduce::mean) g /= share;
      else if (function != Reduce::sum)
        g = convert<double>(x[at]) == convert<double>(y[to]) ? g / equal[static_cast<size_t>(to)] : 0;
      dx[at] = convert<T>(g);
    });
  });
}

}  // namespace

void register_reduce(KernelSet& set) {
  set.reduce.forward.add({"reference", takes_all, forward});
  set.reduce.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
