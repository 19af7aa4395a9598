// Activation functions, softmax and dropout.
#include <limits>

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/softmax.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

template <ops::Unary function>
OpOutputs activation_op(const OpCall& call) {
  return {functional::unary(call.in(0), function)};
}

OpOutputs leaky_relu_op(const OpCall& call) {
  return {functional::leaky_relu(call.in(0), call.real("alpha", 0.01))};
}
OpOutputs elu_op(const OpCall& call) {
  return {functional::elu(call.in(0), call.real("alpha", 1))};
}
OpOutputs celu_op(const OpCall& call) {
  return {functional::celu(call.in(0), call.real("alpha", 1))};
}
OpOutputs selu_op(const OpCall& call) {
  const bool first = call.opset() < 6;  // its defaults had fewer digits
  return {functional::selu(call.in(0),
                           call.real("alpha", first ? 1.6732 : 1.67326319217681884765625),
                           call.real("gamma", first ? 1.0507 : 1.05070102214813232421875))};
}
OpOutputs hard_sigmoid_op(const OpCall& call) {
  return {functional::hard_sigmoid(call.in(0), call.real("alpha", 0.2), call.real("beta", 0.5))};
}
OpOutputs thresholded_relu_op(const OpCall& call) {
  return {functional::thresholded_relu(call.in(0), call.real("alpha", 1))};
}
OpOutputs shrink_op(const OpCall& call) {
  return {functional::shrink(call.in(0), call.real("lambd", 0.5), call.real("bias", 0))};
}
OpOutputs swish_op(const OpCall& call) {
  return {functional::silu(call.in(0), call.real("alpha", 1))};
}

OpOutputs gelu_op(const OpCall& call) {
  const std::string approximate = call.text("approximate", "none");
  GRAFT_CHECK(approximate == "none" || approximate == "tanh", "approximate ", approximate);
  return {functional::gelu(call.in(0), approximate == "tanh")};
}

// Before opset 7 a slope of one number a channel stands for [C,1,...].
OpOutputs prelu_op(const OpCall& call) {
  const Tensor &x = call.in(0), &slope = call.in(1);
  if (call.opset() >= 7 || slope.rank() != 1 || slope.numel() == 1)
    return {functional::prelu(x, slope)};
  GRAFT_CHECK(x.rank() >= 2, "slopes ", slope.shape(), " for ", x.shape(),
              ", which has no channels");
  std::vector<int64_t> extents(static_cast<size_t>(x.rank() - 1), 1);
  extents[0] = slope.numel();
  return {functional::prelu(x, functional::reshape(slope, Shape(extents)))};
}

// The limits are attributes before opset 11, inputs since. Integers are compared as integers.
OpOutputs clip_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  if (is_floating(x.dtype())) {
    const double low = call.has(1) ? call.in(1).item()
                                   : call.real("min", -std::numeric_limits<double>::infinity());
    const double high =
        call.has(2) ? call.in(2).item() : call.real("max", std::numeric_limits<double>::infinity());
    return {functional::clip(x, low, high)};
  }
  Tensor y = x;
  if (call.has(1)) y = functional::maximum(y, call.in(1));
  if (call.has(2)) y = functional::minimum(y, call.in(2));
  return {y};
}

// Before opset 13 everything from `axis` (default 1) on is one axis; since then `axis` (default -1)
// is the axis.
template <bool is_log>
OpOutputs softmax_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const auto along = [](const Tensor& t, int axis) {
    return is_log ? functional::log_softmax(t, axis) : functional::softmax(t, axis);
  };
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
  GRAFT_CHECK(!call.has(2) || call.in(2).item() == 0 || ratio == 0,
              "dropout that is active outside of training is not supported");
  return {x, call.wants(1)
                 ? Tensor::full(x.shape(), 1,
                                {.dtype = call.opset() >= 10 ? DType::boolean : x.dtype()})
                 : Tensor()};
}

constexpr Operator kActivations[] = {
    {"Relu", activation_op<ops::Unary::relu>, "consumed_inputs", Layout::any},
    {"Sigmoid", activation_op<ops::Unary::sigmoid>, "consumed_inputs", Layout::any},
    {"Tanh", activation_op<ops::Unary::tanh>, "consumed_inputs", Layout::any},
    {"Softplus", activation_op<ops::Unary::softplus>, "", Layout::any},
    {"Softsign", activation_op<ops::Unary::softsign>, "", Layout::any},
    {"HardSwish", activation_op<ops::Unary::hard_swish>, "", Layout::any},
    {"Mish", activation_op<ops::Unary::mish>, "", Layout::any},
    {"LeakyRelu", leaky_relu_op, "alpha consumed_inputs", Layout::any},
    {"Elu", elu_op, "alpha consumed_inputs", Layout::any},
    {"Celu", celu_op, "alpha", Layout::any},
    {"Selu", selu_op, "alpha gamma consumed_inputs", Layout::any},
    {"HardSigmoid", hard_sigmoid_op, "alpha beta consumed_inputs", Layout::any},
    {"ThresholdedRelu", thresholded_relu_op, "alpha", Layout::any},
    {"Shrink", shrink_op, "lambd bias", Layout::any},
    {"Swish", swish_op, "alpha", Layout::any},
    {"Gelu", gelu_op, "approximate", Layout::any},
    {"PRelu", prelu_op, "consumed_inputs", Layout::uniform},
    reading({"Clip", clip_op, "min max consumed_inputs", Layout::any}, {1, 2}),
    {"Softmax", softmax_op<false>, "axis"},
    {"LogSoftmax", softmax_op<true>, "axis"},
    reading({"Dropout", dropout_op, "ratio seed is_test consumed_inputs", Layout::any}, {1, 2}),
};

}  // namespace

OperatorTable activation_operators() { return kActivations; }

}  // namespace graft::models::graph
