// Activation functions, softmax and dropout.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

template <ops::Unary function>
OpOutputs unary_activation(const OpCall& call) {
  return {functional::unary(call.in(0), function)};
}

// Before opset 13 everything from `axis` (default 1) on is one axis; since then `axis` (default -1) is the axis.
template <bool is_log>
OpOutputs softmax_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const auto along = [](const Tensor& t, int axis) { return is_log ? functional::log_softmax(t, axis) : functional::softmax(t, axis); };
  if (call.opset() >= 13) return {along(x, at_axis(call.integer("axis", -1), x.rank()))};
  const int64_t given = call.integer("axis", 1);
  const int axis = given == x.rank() ? x.rank() : at_axis(given, x.rank());
  const Shape rows{x.shape().product(0, axis), x.shape().product(axis, x.rank())};
  if (axis == x.rank() - 1) return {along(x, axis)};
  return {functional::reshape(along(functional::reshape(x, rows), 1), x.shape())};
}

// As in evaluation; the module runs those of a graph that trains. The mask is all true.
OpOutputs dropout_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const double ratio = call.has(1) ? call.in(1).item() : call.real("ratio", 0.5);
  GRAFT_CHECK(!call.has(2) || call.in(2).item() == 0 || ratio == 0, "dropout that is active outside of training is not supported");
  return {x, call.wants(1) ? Tensor::full(x.shape(), 1, {.dtype = call.opset() >= 10 ? DType::boolean : x.dtype()}) : Tensor()};
}

constexpr Operator kActivations[] = {
    {"Relu", unary_activation<ops::Unary::relu>, "consumed_inputs", Layout::any},
    {"Sigmoid", unary_activation<ops::Unary::sigmoid>, "consumed_inputs", Layout::any},
    {"Tanh", unary_activation<ops::Unary::tanh>, "consumed_inputs", Layout::any},
    {"Softmax", softmax_op<false>, "axis"},
    {"LogSoftmax", softmax_op<true>, "axis"},
    {"Dropout", dropout_op, "ratio seed is_test consumed_inputs", Layout::any},
};

}  // namespace

OperatorTable activation_operators() { return kActivations; }

}  // namespace graft::models::graph
