// Reductions over axes. Axes are an attribute before opset 18 (ReduceSum: 13), an input since.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

template <ops::Reduce function>
OpOutputs reduce_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> axes = call.numbers_or_attribute(1, "axes");
  if (axes.empty() && call.integer("noop_with_empty_axes", 0) != 0) return {x};
  ops::ReduceAttributes attributes{.function = function, .axes = {}, .keep_axes = call.integer("keepdims", 1) != 0};
  for (const int64_t axis : axes) attributes.axes.push_back(at_axis(axis, x.rank()));
  return {functional::reduce(x, attributes)};
}

constexpr const char* kReduceAttributes = "axes keepdims noop_with_empty_axes";

constexpr Operator kReductions[] = {
    {"ReduceSum", reduce_op<ops::Reduce::sum>, kReduceAttributes},
    {"ReduceMean", reduce_op<ops::Reduce::mean>, kReduceAttributes},
    {"ReduceMax", reduce_op<ops::Reduce::max>, kReduceAttributes},
    {"ReduceMin", reduce_op<ops::Reduce::min>, kReduceAttributes},
};

}  // namespace

OperatorTable reduction_operators() { return kReductions; }

}  // namespace graft::models::graph
