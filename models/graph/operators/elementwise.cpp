// Element-wise functions of one or more tensors, with NumPy's broadcasting and, before opset 7, the
// one that an attribute asks for.
#include "graft/layers/functional/elementwise.h"

#include "graft/layers/functional/shape_change.h"
#include "graft/models/graph/element_type.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// Before opset 7 `broadcast` lines b up with a's axes from `axis` on; without `axis` with its last
// ones.
Tensor lined_up(const OpCall& call, const Tensor& a, const Tensor& b) {
  if (call.opset() >= 7 || call.integer("broadcast", 0) == 0 || !call.given("axis")) return b;
  const int axis = at_axis(call.integer("axis"), a.rank());
  GRAFT_CHECK(axis + b.rank() <= a.rank(), "input ", b.shape(), " does not fit ", a.shape(),
              " from axis ", axis, " on");
  std::vector<int64_t> extents(b.shape().begin(), b.shape().end());
  extents.resize(static_cast<size_t>(a.rank() - axis), 1);
  return functional::reshape(b, Shape(extents));
}

template <ops::Binary function>
OpOutputs binary_op(const OpCall& call) {
  return {functional::binary(call.in(0), lined_up(call, call.in(0), call.in(1)), function)};
}

OpOutputs pow_op(const OpCall& call) {
  return {functional::pow(call.in(0), lined_up(call, call.in(0), call.in(1)))};
}

OpOutputs mod_op(const OpCall& call) {
  return {functional::binary(call.in(0), call.in(1),
                             call.integer("fmod", 0) != 0 ? ops::Binary::fmod : ops::Binary::mod)};
}

OpOutputs bit_shift(const OpCall& call) {
  const std::string direction = call.text("direction", "");
  GRAFT_CHECK(direction == "LEFT" || direction == "RIGHT", "direction ", direction);
  return {
      functional::binary(call.in(0), call.in(1),
                         direction == "LEFT" ? ops::Binary::shift_left : ops::Binary::shift_right)};
}

template <ops::Binary function>
OpOutputs of_all(const OpCall& call) {
  Tensor y = call.in(0);
  for (size_t i = 1; i < call.inputs(); ++i) y = functional::binary(y, call.in(i), function);
  return {y};
}

OpOutputs mean_op(const OpCall& call) {
  const Tensor sum = of_all<ops::Binary::add>(call)[0];
  return {functional::div(sum, Tensor::scalar(static_cast<double>(call.inputs()), sum.dtype()))};
}

template <ops::Unary function>
OpOutputs unary_op(const OpCall& call) {
  return {functional::unary(call.in(0), function)};
}

OpOutputs is_inf_op(const OpCall& call) {
  return {functional::is_inf(call.in(0), call.integer("detect_negative", 1) != 0,
                             call.integer("detect_positive", 1) != 0)};
}

OpOutputs where_op(const OpCall& call) {
  return {functional::where(call.in(0), call.in(1), call.in(2))};
}

OpOutputs cast_op(const OpCall& call) {
  return {functional::cast(
      call.in(0), dtype_of_element(static_cast<io::onnx::ElementType>(call.integer("to"))))};
}

OpOutputs cast_like_op(const OpCall& call) {
  return {functional::cast(call.in(0), call.in(1).dtype())};
}

constexpr const char* kBroadcast = "axis broadcast consumed_inputs";
constexpr const char* kConsumed = "consumed_inputs";

template <ops::Unary function>
constexpr Operator unary_operator(const char* name) {
  return {name, unary_op<function>, kConsumed, Layout::any};
}
template <ops::Binary function>
constexpr Operator binary_operator(const char* name) {
  return {name, binary_op<function>, kBroadcast, Layout::uniform};
}

constexpr Operator kElementwise[] = {
    binary_operator<ops::Binary::add>("Add"),
    binary_operator<ops::Binary::sub>("Sub"),
    binary_operator<ops::Binary::mul>("Mul"),
    binary_operator<ops::Binary::div>("Div"),
    binary_operator<ops::Binary::logical_and>("And"),
    binary_operator<ops::Binary::logical_or>("Or"),
    binary_operator<ops::Binary::logical_xor>("Xor"),
    binary_operator<ops::Binary::equal>("Equal"),
    binary_operator<ops::Binary::less>("Less"),
    binary_operator<ops::Binary::less_or_equal>("LessOrEqual"),
    binary_operator<ops::Binary::greater>("Greater"),
    binary_operator<ops::Binary::greater_or_equal>("GreaterOrEqual"),
    binary_operator<ops::Binary::bit_and>("BitwiseAnd"),
    binary_operator<ops::Binary::bit_or>("BitwiseOr"),
    binary_operator<ops::Binary::bit_xor>("BitwiseXor"),
    {"BitShift", bit_shift, "direction", Layout::uniform},
    {"Pow", pow_op, kBroadcast, Layout::uniform},
    {"Mod", mod_op, "fmod", Layout::uniform},
    {"Sum", of_all<ops::Binary::add>, kConsumed, Layout::uniform},
    {"Max", of_all<ops::Binary::max>, kConsumed, Layout::uniform},
    {"Min", of_all<ops::Binary::min>, kConsumed, Layout::uniform},
    {"Mean", mean_op, kConsumed, Layout::uniform},
    {"Where", where_op, "", Layout::uniform},
    unary_operator<ops::Unary::neg>("Neg"),
    unary_operator<ops::Unary::exp>("Exp"),
    unary_operator<ops::Unary::log>("Log"),
    unary_operator<ops::Unary::sqrt>("Sqrt"),
    unary_operator<ops::Unary::abs>("Abs"),
    unary_operator<ops::Unary::reciprocal>("Reciprocal"),
    unary_operator<ops::Unary::floor>("Floor"),
    unary_operator<ops::Unary::ceil>("Ceil"),
    unary_operator<ops::Unary::round>("Round"),
    unary_operator<ops::Unary::sign>("Sign"),
    unary_operator<ops::Unary::erf>("Erf"),
    unary_operator<ops::Unary::sin>("Sin"),
    unary_operator<ops::Unary::cos>("Cos"),
    unary_operator<ops::Unary::tan>("Tan"),
    unary_operator<ops::Unary::asin>("Asin"),
    unary_operator<ops::Unary::acos>("Acos"),
    unary_operator<ops::Unary::atan>("Atan"),
    unary_operator<ops::Unary::sinh>("Sinh"),
    unary_operator<ops::Unary::cosh>("Cosh"),
    unary_operator<ops::Unary::asinh>("Asinh"),
    unary_operator<ops::Unary::acosh>("Acosh"),
    unary_operator<ops::Unary::atanh>("Atanh"),
    unary_operator<ops::Unary::bitwise_not>("BitwiseNot"),
    unary_operator<ops::Unary::logical_not>("Not"),
    unary_operator<ops::Unary::is_nan>("IsNaN"),
    {"IsInf", is_inf_op, "detect_negative detect_positive", Layout::any},
    {"Cast", cast_op, "to saturate round_mode", Layout::any},
    {"CastLike", cast_like_op, "saturate round_mode", Layout::any},
};

}  // namespace

OperatorTable elementwise_operators() { return kElementwise; }

}  // namespace graft::models::graph
