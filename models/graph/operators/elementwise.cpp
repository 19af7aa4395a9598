// Element-wise arithmetic of one or more tensors, with NumPy's broadcasting and, before opset 7, the one that an
// attribute asks for.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// Before opset 7 `broadcast` lines b up with a's axes from `axis` on; without `axis` with its last ones.
Tensor lined_up(const OpCall& call, const Tensor& a, const Tensor& b) {
  if (call.opset() >= 7 || call.integer("broadcast", 0) == 0 || !call.given("axis")) return b;
  const int axis = at_axis(call.integer("axis"), a.rank());
  GRAFT_CHECK(axis + b.rank() <= a.rank(), "input ", b.shape(), " does not fit ", a.shape(), " from axis ", axis, " on");
  std::vector<int64_t> extents(b.shape().begin(), b.shape().end());
  extents.resize(static_cast<size_t>(a.rank() - axis), 1);
  return functional::reshape(b, Shape(extents));
}

template <ops::Binary function>
OpOutputs binary_arithmetic(const OpCall& call) {
  return {functional::binary(call.in(0), lined_up(call, call.in(0), call.in(1)), function)};
}

OpOutputs sum_of_all(const OpCall& call) {
  Tensor y = call.in(0);
  for (size_t i = 1; i < call.inputs(); ++i) y = functional::add(y, call.in(i));
  return {y};
}

template <ops::Unary function>
OpOutputs unary_arithmetic(const OpCall& call) {
  return {functional::unary(call.in(0), function)};
}

constexpr const char* kBroadcast = "axis broadcast consumed_inputs";

constexpr Operator kElementwise[] = {
    {"Add", binary_arithmetic<ops::Binary::add>, kBroadcast, Layout::uniform},
    {"Sub", binary_arithmetic<ops::Binary::sub>, kBroadcast, Layout::uniform},
    {"Mul", binary_arithmetic<ops::Binary::mul>, kBroadcast, Layout::uniform},
    {"Div", binary_arithmetic<ops::Binary::div>, kBroadcast, Layout::uniform},
    {"Sum", sum_of_all, "consumed_inputs", Layout::uniform},
    {"Neg", unary_arithmetic<ops::Unary::neg>, "consumed_inputs", Layout::any},
    {"Exp", unary_arithmetic<ops::Unary::exp>, "consumed_inputs", Layout::any},
    {"Log", unary_arithmetic<ops::Unary::log>, "consumed_inputs", Layout::any},
    {"Sqrt", unary_arithmetic<ops::Unary::sqrt>, "consumed_inputs", Layout::any},
    {"Abs", unary_arithmetic<ops::Unary::abs>, "consumed_inputs", Layout::any},
};

}  // namespace

OperatorTable elementwise_operators() { return kElementwise; }

}  // namespace graft::models::graph
