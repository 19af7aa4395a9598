// Activations and arithmetic, element by element.
#include <algorithm>
#include <cmath>

#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;
using io::onnx::real_attribute;

constexpr int64_t kBoolean = 12, kFloat = 7;

template <const char* Op>
void unary(AtenCall& call) {
  call.finish(call.add(Op, {call.tensor(call.is_tensor("self") ? "self" : "input")}));
}

// An operand in the type `type`: a tensor, or a number.
std::string operand(AtenCall& call, const char* name, int64_t type) {
  if (!call.is_tensor(name)) {
    const ExportedArgument* argument = call.find(name);
    if (argument && argument->kind == io::ExportedKind::symbol)
      return call.cast(call.value_of(argument->texts[0]), type);
    return call.number(call.real(name), type);
  }
  const std::string value = call.tensor(name);
  return onnx_type(call.meta(name).type) == onnx_type(type) ? value : call.cast(value, type);
}

// The type in which two operands meet, where the result has another: a comparison's.
int64_t meeting_type(AtenCall& call) {
  int64_t type = 0;
  bool real = false;
  for (const char* name : {"self", "other"}) {
    if (call.is_tensor(name)) {
      const int64_t own = call.meta(name).type;
      type = type == 0 || (is_floating_type(own) && !is_floating_type(type)) || type == kBoolean
                 ? own
                 : type;
    } else if (const ExportedArgument* number = call.find(name)) {
      real = real || number->kind == io::ExportedKind::real;
    }
  }
  return real && !is_floating_type(type) ? kFloat : type;
}

void arithmetic(AtenCall& call, const char* op) {
  const int64_t type = call.result().type;
  const std::string left = operand(call, "self", type);
  std::string right = operand(call, "other", type);
  if (const double alpha = call.real("alpha", 1); alpha != 1)
    right = call.add("Mul", {right, call.number(alpha, type)});
  call.finish(call.add(op, {left, right}));
}
void add(AtenCall& call) { arithmetic(call, "Add"); }
void sub(AtenCall& call) { arithmetic(call, "Sub"); }
void mul(AtenCall& call) { arithmetic(call, "Mul"); }
void maximum(AtenCall& call) { arithmetic(call, "Max"); }
void minimum(AtenCall& call) { arithmetic(call, "Min"); }

void rsub(AtenCall& call) {
  const int64_t type = call.result().type;
  if (call.real("alpha", 1) != 1) call.refuse("alpha");
  const std::string right = operand(call, "self", type);
  call.finish(call.add("Sub", {operand(call, "other", type), right}));
}

void div(AtenCall& call) {
  const std::string rounding = call.text("rounding_mode", "");
  const int64_t type = call.result().type;
  if (rounding.empty()) return arithmetic(call, "Div");
  if (rounding != "floor") call.refuse(str("rounding_mode ", rounding));
  const int64_t real = is_floating_type(type) ? type : kFloat;
  const std::string left = operand(call, "self", real), right = operand(call, "other", real);
  const std::string value = call.add("Floor", {call.add("Div", {left, right})});
  call.finish(is_floating_type(type) ? value : call.cast(value, type));
}

void power(AtenCall& call) {
  const int64_t type = call.result().type;
  const std::string base = operand(call, "self", type);
  if (!call.is_tensor("exponent") && call.real("exponent") == 2)
    return call.finish(call.add("Mul", {base, base}));
  call.finish(call.add("Pow", {base, operand(call, "exponent", type)}));
}

void square(AtenCall& call) {
  const std::string x = call.tensor("self");
  call.finish(call.add("Mul", {x, x}));
}

template <const char* Op, bool Not>
void comparison(AtenCall& call) {
  const int64_t type = meeting_type(call);
  const std::string left = operand(call, "self", type);
  const std::string value = call.add(Op, {left, operand(call, "other", type)});
  call.finish(Not ? call.add("Not", {value}) : value);
}

void logical_not(AtenCall& call) {
  call.finish(call.add("Not", {operand(call, "self", kBoolean)}));
}
template <const char* Op>
void logical(AtenCall& call) {
  const std::string left = operand(call, "self", kBoolean);
  call.finish(call.add(Op, {left, operand(call, "other", kBoolean)}));
}

void where(AtenCall& call) {
  const int64_t type = call.result().type;
  const std::string left = operand(call, "self", type);
  call.finish(call.add("Where", {call.tensor("condition"), left, operand(call, "other", type)}));
}

void masked_fill(AtenCall& call) {
  const std::string value = operand(call, "value", call.result().type);
  call.finish(call.add("Where", {call.tensor("mask"), value, call.tensor("self")}));
}

void clip(AtenCall& call, std::optional<double> low, std::optional<double> high) {
  const int64_t type = call.result().type;
  const auto limit = [&](std::optional<double> value) {
    return value ? call.number(*value, type) : std::string();
  };
  const std::string least = limit(low), most = limit(high);
  call.finish(call.add("Clip", {call.tensor("self"), least, most}));
}
void clamp(AtenCall& call) {
  const auto limit = [&](const char* name) {
    return call.find(name) ? std::optional<double>(call.real(name)) : std::nullopt;
  };
  clip(call, limit("min"), limit("max"));
}
void hardtanh(AtenCall& call) { clip(call, call.real("min_val", -1), call.real("max_val", 1)); }
void relu6(AtenCall& call) { clip(call, 0, 6); }

void silu(AtenCall& call) {
  const std::string x = call.tensor("self");
  call.finish(call.add("Mul", {x, call.add("Sigmoid", {x})}));
}
void hardsigmoid(AtenCall& call) {
  call.finish(call.add("HardSigmoid", {call.tensor("self")},
                       {real_attribute("alpha", 1.0 / 6), real_attribute("beta", 0.5)}));
}
void gelu(AtenCall& call) {
  Attribute approximate;
  approximate.name = "approximate";
  approximate.type = io::onnx::AttributeType::string;
  approximate.s = call.text("approximate", "none");
  call.finish(call.add("Gelu", {call.tensor("self")}, {approximate}));
}
void leaky_relu(AtenCall& call) {
  call.finish(call.add("LeakyRelu", {call.tensor("self")},
                       {real_attribute("alpha", call.real("negative_slope", 0.01))}));
}
void elu(AtenCall& call) {
  if (call.real("scale", 1) != 1 || call.real("input_scale", 1) != 1) call.refuse("a scale");
  call.finish(
      call.add("Elu", {call.tensor("self")}, {real_attribute("alpha", call.real("alpha", 1))}));
}
void softplus(AtenCall& call) {
  if (call.real("beta", 1) != 1) call.refuse("beta");
  call.finish(call.add("Softplus", {call.tensor("self")}));
}
// One slope a channel stands along axis 1.
void prelu(AtenCall& call) {
  const int axes = call.rank("weight") == 1 ? call.rank("self") - 2 : 0;
  std::vector<int64_t> shape(static_cast<size_t>(std::max(axes, 0)) + 1, 1);
  if (axes > 0) shape[0] = call.size("weight", 0);
  const std::string slope = axes > 0
                                ? call.add("Reshape", {call.tensor("weight"), call.numbers(shape)})
                                : call.tensor("weight");
  call.finish(call.add("PRelu", {call.tensor("self"), slope}));
}
void rsqrt(AtenCall& call) {
  call.finish(call.add("Reciprocal", {call.add("Sqrt", {call.tensor("self")})}));
}

void soft(AtenCall& call, const char* op) {
  call.finish(call.add(op, {call.tensor("self")},
                       {integer_attribute("axis", call.axis("dim", call.rank("self")))}));
}
void softmax(AtenCall& call) { soft(call, "Softmax"); }
void log_softmax(AtenCall& call) { soft(call, "LogSoftmax"); }

// To another element type; devices and layouts are graft's own affair.
void convert(AtenCall& call) {
  if (onnx_type(call.meta("self").type) == onnx_type(call.result().type)) return call.pass("self");
  call.finish(call.cast(call.tensor("self"), call.result().type));
}
void same(AtenCall& call) { call.pass(call.is_tensor("self") ? "self" : "input"); }

#define GRAFT_ATEN_NAME(NAME, TEXT) constexpr char NAME[] = TEXT
GRAFT_ATEN_NAME(kRelu, "Relu");
GRAFT_ATEN_NAME(kSigmoid, "Sigmoid");
GRAFT_ATEN_NAME(kTanh, "Tanh");
GRAFT_ATEN_NAME(kHardSwish, "HardSwish");
GRAFT_ATEN_NAME(kMish, "Mish");
GRAFT_ATEN_NAME(kSelu, "Selu");
GRAFT_ATEN_NAME(kAbs, "Abs");
GRAFT_ATEN_NAME(kExp, "Exp");
GRAFT_ATEN_NAME(kLog, "Log");
GRAFT_ATEN_NAME(kSqrt, "Sqrt");
GRAFT_ATEN_NAME(kNeg, "Neg");
GRAFT_ATEN_NAME(kReciprocal, "Reciprocal");
GRAFT_ATEN_NAME(kFloor, "Floor");
GRAFT_ATEN_NAME(kCeil, "Ceil");
GRAFT_ATEN_NAME(kErf, "Erf");
GRAFT_ATEN_NAME(kSin, "Sin");
GRAFT_ATEN_NAME(kCos, "Cos");
GRAFT_ATEN_NAME(kEqual, "Equal");
GRAFT_ATEN_NAME(kLess, "Less");
GRAFT_ATEN_NAME(kLessOrEqual, "LessOrEqual");
GRAFT_ATEN_NAME(kGreater, "Greater");
GRAFT_ATEN_NAME(kGreaterOrEqual, "GreaterOrEqual");
GRAFT_ATEN_NAME(kAnd, "And");
GRAFT_ATEN_NAME(kOr, "Or");
#undef GRAFT_ATEN_NAME

constexpr AtenOperator kElementwise[] = {
    {"relu", unary<kRelu>},
    {"sigmoid", unary<kSigmoid>},
    {"tanh", unary<kTanh>},
    {"hardswish", unary<kHardSwish>},
    {"mish", unary<kMish>},
    {"selu", unary<kSelu>},
    {"abs", unary<kAbs>},
    {"exp", unary<kExp>},
    {"log", unary<kLog>},
    {"sqrt", unary<kSqrt>},
    {"neg", unary<kNeg>},
    {"reciprocal", unary<kReciprocal>},
    {"floor", unary<kFloor>},
    {"ceil", unary<kCeil>},
    {"erf", unary<kErf>},
    {"sin", unary<kSin>},
    {"cos", unary<kCos>},
    {"rsqrt", rsqrt},
    {"relu6", relu6},
    {"hardtanh", hardtanh},
    {"clamp", clamp},
    {"clamp_min", clamp},
    {"clamp_max", clamp},
    {"silu", silu},
    {"hardsigmoid", hardsigmoid},
    {"gelu", gelu},
    {"leaky_relu", leaky_relu},
    {"elu", elu},
    {"softplus", softplus},
    {"prelu", prelu},
    {"_prelu_kernel", prelu},
    {"softmax", softmax},
    {"_softmax", softmax},
    {"_safe_softmax", softmax},
    {"log_softmax", log_softmax},
    {"_log_softmax", log_softmax},
    {"add", add},
    {"sub", sub},
    {"rsub", rsub},
    {"mul", mul},
    {"div", div},
    {"multiply", mul},
    {"subtract", sub},
    {"divide", div},
    {"true_divide", div},
    {"pow", power},
    {"square", square},
    {"maximum", maximum},
    {"minimum", minimum},
    {"eq", comparison<kEqual, false>},
    {"ne", comparison<kEqual, true>},
    {"lt", comparison<kLess, false>},
    {"le", comparison<kLessOrEqual, false>},
    {"gt", comparison<kGreater, false>},
    {"ge", comparison<kGreaterOrEqual, false>},
    {"logical_not", logical_not},
    {"logical_and", logical<kAnd>},
    {"logical_or", logical<kOr>},
    {"where", where},
    {"masked_fill", masked_fill},
    {"to", convert, true},
    {"_to_copy", convert},
    {"type_as", convert, true},
    {"contiguous", same, true},
    {"clone", same},
    {"detach", same, true},
    {"alias", same, true},
    {"lift_fresh_copy", same},
};

}  // namespace

AtenTable aten_elementwise() { return kElementwise; }

}  // namespace graft::models::aten
