// Reductions over axes, places of extremes, the k largest, running sums. The axes of a reduction
// are an attribute before opset 18 (ReduceSum: 13), an input since.
#include "graft/layers/functional/reduction.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// The result of reducing nothing.
double of_nothing(ops::Reduce function, DType dtype) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto extreme = [&](bool largest) {
    if (is_floating(dtype)) return largest ? infinity : -infinity;
    return visit_dtype(dtype, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_integral_v<T>)
        return static_cast<double>(largest ? std::numeric_limits<T>::max()
                                           : std::numeric_limits<T>::min());
      else
        return 0.0;
    });
  };
  switch (function) {
    case ops::Reduce::max: return extreme(false);
    case ops::Reduce::min: return extreme(true);
    case ops::Reduce::prod: return 1;
    case ops::Reduce::log_sum:
    case ops::Reduce::log_sum_exp: return -infinity;
    case ops::Reduce::mean: return std::nan("");
    default: return 0;
  }
}

// What a reduction over no axes does to each element.
Tensor of_each(const Tensor& x, ops::Reduce function) {
  switch (function) {
    case ops::Reduce::l1:
    case ops::Reduce::l2: return functional::abs(x);
    case ops::Reduce::log_sum: return functional::log(x);
    case ops::Reduce::sum_square: return functional::mul(x, x);
    default: return x;
  }
}

// Of what was asked, x in the order that it is read in.
OpOutputs reduced(const OpCall& call, const Tensor& x, ops::Reduce function) {
  const std::vector<int64_t> axes = call.numbers_or_attribute(1, "axes");
  if (axes.empty() && call.integer("noop_with_empty_axes", 0) != 0) return {of_each(x, function)};
  ops::ReduceAttributes attributes{
      .function = function, .axes = {}, .keep_axes = call.integer("keepdims", 1) != 0};
  for (const int64_t axis : axes) attributes.axes.push_back(at_axis(axis, x.rank()));
  if (x.numel() == 0)
    return {Tensor::full(ops::reduce_output_shape(x.shape(), attributes, attributes.keep_axes),
                         of_nothing(function, x.dtype()),
                         {.dtype = x.dtype(), .device = x.device()})};
  if (x.dtype() == DType::boolean)
    return {functional::cast(functional::reduce(functional::cast(x, DType::u8), attributes),
                             DType::boolean)};
  return {functional::reduce(x, attributes)};
}
template <ops::Reduce function>
OpOutputs reduce_op(const OpCall& call) {
  return reduced(call, call.in(0), function);
}

// Means over an image's pixels are pooling, which has fast kernels.
OpOutputs reduce_mean_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> axes = call.numbers_or_attribute(1, "axes");
  for (int64_t& axis : axes) axis = at_axis(axis, x.rank());
  std::sort(axes.begin(), axes.end());
  if (x.rank() != 4 || !is_floating(x.dtype()) || x.numel() == 0 ||
      axes != std::vector<int64_t>{2, 3})
    return reduced(call, functional::to_format(x, MemoryFormat::contiguous), ops::Reduce::mean);
  const Tensor y =
      functional::global_average_pool(functional::to_format(x, MemoryFormat::channels_last));
  return {call.integer("keepdims", 1) != 0 ? y : functional::reshape(y, {x.size(0), x.size(1)})};
}

template <bool largest>
OpOutputs arg_extreme_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int axis = at_axis(call.integer("axis", 0), x.rank());
  const bool keep = call.integer("keepdims", 1) != 0,
             last = call.integer("select_last_index", 0) != 0;
  return {largest ? functional::argmax(x, axis, keep, last)
                  : functional::argmin(x, axis, keep, last)};
}

// k is an attribute before opset 10.
OpOutputs topk_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int64_t k = call.opset() < 10 ? call.integer("k") : call.number(1);
  const auto [values, indices] = functional::topk(x, k, at_axis(call.integer("axis", -1), x.rank()),
                                                  call.integer("largest", 1) != 0);
  return {values, indices};
}

OpOutputs cumulative_sum_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  return {functional::cumulative_sum(x, at_axis(call.number(1), x.rank()),
                                     call.integer("exclusive", 0) != 0,
                                     call.integer("reverse", 0) != 0)};
}

// 1 at the first largest element along the axis. Before opset 13 everything from `axis` (default 1)
// on is one axis.
OpOutputs hardmax_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const bool joined = call.opset() < 13;
  const int axis = at_axis(call.integer("axis", joined ? 1 : -1), x.rank());
  const Tensor rows =
      joined
          ? functional::reshape(x, {x.shape().product(0, axis), x.shape().product(axis, x.rank())})
          : x;
  const int along = joined ? 1 : axis;
  return {functional::reshape(functional::hardmax(rows, along), x.shape())};
}

constexpr const char* kReduceAttributes = "axes keepdims noop_with_empty_axes";

constexpr Operator kReductions[] = {
    reading({"ReduceSum", reduce_op<ops::Reduce::sum>, kReduceAttributes}, {1}),
    reading({"ReduceMean", reduce_mean_op, kReduceAttributes, Layout::any}, {1}),
    reading({"ReduceMax", reduce_op<ops::Reduce::max>, kReduceAttributes}, {1}),
    reading({"ReduceMin", reduce_op<ops::Reduce::min>, kReduceAttributes}, {1}),
    reading({"ReduceProd", reduce_op<ops::Reduce::prod>, kReduceAttributes}, {1}),
    reading({"ReduceL1", reduce_op<ops::Reduce::l1>, kReduceAttributes}, {1}),
    reading({"ReduceL2", reduce_op<ops::Reduce::l2>, kReduceAttributes}, {1}),
    reading({"ReduceLogSum", reduce_op<ops::Reduce::log_sum>, kReduceAttributes}, {1}),
    reading({"ReduceLogSumExp", reduce_op<ops::Reduce::log_sum_exp>, kReduceAttributes}, {1}),
    reading({"ReduceSumSquare", reduce_op<ops::Reduce::sum_square>, kReduceAttributes}, {1}),
    {"ArgMax", arg_extreme_op<true>, "axis keepdims select_last_index"},
    {"ArgMin", arg_extreme_op<false>, "axis keepdims select_last_index"},
    reading({"TopK", topk_op, "axis k largest sorted"}, {1}),
    reading({"CumSum", cumulative_sum_op, "exclusive reverse"}, {1}),
    {"Hardmax", hardmax_op, "axis"},
};

}  // namespace

OperatorTable reduction_operators() { return kReductions; }

}  // namespace graft::models::graph
