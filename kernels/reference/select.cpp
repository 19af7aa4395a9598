// where and cast, element by element.
#include "graft/kernels/ops/select.h"

#include <limits>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

void where_forward(ExecContext& context, ops::WhereForwardArgs& args) {
  const Shape& shape = args.y.shape();
  const Walk<4> walk(shape, {element_strides(args.y), broadcast_strides(args.condition, shape),
                             broadcast_strides(args.a, shape), broadcast_strides(args.b, shape)});
  const bool* condition = args.condition.data<bool>();
  visit_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *a = args.a.data<T>(), *b = args.b.data<T>();
    T* y = args.y.mutable_data<T>();
    walk.for_each_row(context, [&](const std::array<int64_t, 4>& row, int64_t length) {
      for (int64_t i = 0; i < length; ++i)
        y[row[0] + i * walk.step(0)] = condition[row[1] + i * walk.step(1)]
                                           ? a[row[2] + i * walk.step(2)]
                                           : b[row[3] + i * walk.step(3)];
    });
  });
}

// The sum of dy over the elements where the condition is `chosen`.
void where_gradient(const ops::WhereBackwardArgs& args, bool chosen, Tensor* to) {
  if (!to) return;
  const Shape& shape = args.dy.shape();
  const Walk<3> walk(shape, {element_strides(args.dy), broadcast_strides(args.condition, shape),
                             broadcast_strides(*to, shape)});
  const bool* condition = args.condition.data<bool>();
  std::vector<double> sums(static_cast<size_t>(to->numel()));
  visit_floating(args.dy.dtype(), "where", [&](auto zero) {
    using T = decltype(zero);
    const T* dy = args.dy.data<T>();
    walk.for_each_row([&](const std::array<int64_t, 3>& row, int64_t length) {
      for (int64_t i = 0; i < length; ++i)
        if (condition[row[1] + i * walk.step(1)] == chosen)
          sums[static_cast<size_t>(row[2] + i * walk.step(2))] +=
              convert<double>(dy[row[0] + i * walk.step(0)]);
    });
    T* out = to->mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) out[i] = convert<T>(sums[i]);
  });
}

void where_backward(ExecContext&, ops::WhereBackwardArgs& args) {
  where_gradient(args, true, args.da);
  where_gradient(args, false, args.db);
}

template <class To, class From>
To cast_element(From from) {
  if constexpr (std::is_integral_v<To> && !std::is_same_v<To, bool> && !std::is_integral_v<From>) {
    const auto value = convert<double>(from);
    if (value != value) return 0;
    if (value >= static_cast<double>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    if (value <= static_cast<double>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return convert<To>(from);
  }
}

void cast(ExecContext& context, ops::CastArgs& args) {
  constexpr int64_t job = 16384;
  const int64_t total = args.x.numel();
  visit_dtype(args.x.dtype(), [&](auto from) {
    const auto* x = args.x.data<decltype(from)>();
    visit_dtype(args.y.dtype(), [&](auto to) {
      auto* y = args.y.mutable_data<decltype(to)>();
      context.parallel_for(ceil_div(total, job), [&](int64_t j) {
        for (int64_t i = j * job; i < std::min(total, (j + 1) * job); ++i)
          y[i] = cast_element<decltype(to)>(x[i]);
      });
    });
  });
}

}  // namespace

void register_select(ops::SelectKernels& kernels) {
  kernels.where_forward.add({"reference", takes_all, where_forward});
  kernels.where_backward.add({"reference", takes_all, where_backward});
  kernels.cast.add({"reference", takes_all, cast});
}

}  // namespace graft::reference
