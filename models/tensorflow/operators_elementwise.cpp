// Operators on each number, of one operand or of two that meet by broadcasting.
#include <algorithm>

#include "graft/models/tensorflow/norm_pattern.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

// Whatever is all constant is computed now, and remembered as how.
bool folded(Call& call) {
  for (size_t i = 0; i < call.inputs.size(); ++i)
    if (!call.item(i).is_constant()) return false;
  Item result;
  result.constant = fold_constants(call);
  if (!result.constant.defined()) return false;
  if (call.inputs.size() == 1) result.source = call.item(0).source;
  result.made_by = call.op;
  result.made_of = call.inputs;
  call.give(std::move(result));
  return true;
}

// Sizes times or over a number.
bool of_sizes(Call& call) {
  if (!call.item(0).sizes && !call.item(1).sizes) return false;
  if (call.item(0).is_computed() || call.item(1).is_computed()) return false;
  const Dims a = call.sizes(0, "sizes"), b = call.sizes(1, "sizes");
  GRAFT_CHECK(a.size() == b.size() || a.size() == 1 || b.size() == 1, "its lists of ", a.size(),
              " and ", b.size(), " sizes do not meet");
  Dims result;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const int64_t x = a[a.size() == 1 ? 0 : i], y = b[b.size() == 1 ? 0 : i];
    GRAFT_CHECK(x != kWhatIsLeft && y != kWhatIsLeft, "computes with a size that is still open");
    if (call.op == "Mul")
      result.push_back(product_of(Dims{x, y}));
    else if ((call.op == "RealDiv" || call.op == "FloorDiv") && y > 0 && x % y == 0)
      result.push_back(x / y);
    else
      bad_input("computes on sizes of the batch in a way that graft does not");
  }
  call.give_sizes(std::move(result));
  return true;
}

// The two operands in one order of axes, as names, and the result's shape.
struct Operands {
  std::string a, b;
  Value result;
};

Operands operands_of(Call& call) {
  const Item &first = call.item(0), &second = call.item(1);
  Operands o;
  if (first.is_computed() != second.is_computed()) {
    const bool left = first.is_computed();
    Value x = call.value(left ? 0 : 1);
    const Item& constant = left ? second : first;
    GRAFT_CHECK(constant.is_constant(),
                "computes on sizes of the batch in a way that graft does "
                "not");
    Dims dims(constant.constant.shape().begin(), constant.constant.shape().end());
    // A value of fewer axes than its constant, or of none of the batch's, would grow.
    const Dims met = broadcast(x.dims, dims);
    GRAFT_CHECK(met.size() == x.rank(), "its constant of ", dims.size(), " axes meets a value of ",
                x.rank());
    const std::string name = operand_beside(call, constant, x);
    o.a = left ? x.name : name;
    o.b = left ? name : x.name;
    o.result = x;
    o.result.dims = met;
    return o;
  }
  Value a = call.value(0), b = call.value(1);
  if (a.rank() != b.rank()) {
    a = call.writer().in_order(a);
    b = call.writer().in_order(b);
  } else if (a.channels_first != b.channels_first) {
    a = call.writer().channels_first(a);
    b = call.writer().channels_first(b);
  }
  o.a = a.name;
  o.b = b.name;
  o.result = a;
  o.result.dims = broadcast(a.dims, b.dims);
  return o;
}

void binary(Call& call, const char* onnx) {
  if (folded(call) || of_sizes(call)) return;
  Operands o = operands_of(call);
  // Preprocessing keeps an image one.
  const bool of_image =
      o.result.of_image && call.item(0).is_computed() != call.item(1).is_computed();
  o.result.name = call.writer().node(onnx, {o.a, o.b});
  o.result.of_image = of_image;
  Item result;
  result.value = o.result;
  result.made_by = call.op;
  result.made_of = call.inputs;
  call.give(std::move(result));
}

bool is_channel_bias(const Call& call, size_t constant) {
  const Item &bias = call.item(constant), &x = call.item(1 - constant);
  return bias.is_constant() && x.is_computed() && bias.constant.rank() >= 1 &&
         bias.constant.size(bias.constant.rank() - 1) == bias.constant.numel() &&
         x.value.rank() >= 2 && bias.constant.numel() == x.value.dims.back() &&
         bias.constant.numel() > 1;
}

void add(Call& call) {
  if (folded(call) || of_sizes(call) || give_batch_norm(call)) return;
  for (const size_t constant : {size_t{1}, size_t{0}}) {
    if (!is_channel_bias(call, constant)) continue;
    Call bias("BiasAdd", call.title, {call.inputs[1 - constant], call.inputs[constant]},
              call.outputs, {}, call.t);
    find_operator("BiasAdd")->run(bias);
    return;
  }
  binary(call, "Add");
}

void subtract(Call& call) { binary(call, "Sub"); }
void multiply(Call& call) { binary(call, "Mul"); }
void divide(Call& call) { binary(call, "Div"); }
void power(Call& call) { binary(call, "Pow"); }
void maximum(Call& call) { binary(call, "Max"); }
void minimum(Call& call) { binary(call, "Min"); }

void squared_difference(Call& call) {
  if (folded(call)) return;
  Operands o = operands_of(call);
  const std::string away = call.writer().node("Sub", {o.a, o.b});
  o.result.name = call.writer().node("Mul", {away, away});
  o.result.of_image = false;
  call.give(o.result);
}

void add_all(Call& call) {
  std::vector<std::string> names;
  Value result;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Value x = call.writer().in_order(call.value(i));
    GRAFT_CHECK(i == 0 || x.dims == result.dims, "adds values of different shapes");
    if (i == 0) result = x;
    names.push_back(x.name);
  }
  result.name = call.writer().node("Sum", names);
  result.of_image = false;
  call.give(result);
}

void through(Call& call, const char* onnx, Attributes attributes = {}) {
  if (folded(call)) return;
  call.give(call.node(onnx, call.value(0), std::move(attributes)));
}

void relu(Call& call) { through(call, "Relu"); }
void sigmoid(Call& call) { through(call, "Sigmoid"); }
void tanh_of(Call& call) { through(call, "Tanh"); }
void exp_of(Call& call) { through(call, "Exp"); }
void log_of(Call& call) { through(call, "Log"); }
void negative(Call& call) { through(call, "Neg"); }
void absolute(Call& call) { through(call, "Abs"); }
void square_root(Call& call) { through(call, "Sqrt"); }
void softplus(Call& call) { through(call, "Softplus"); }
void softsign(Call& call) { through(call, "Softsign"); }
void hard_swish(Call& call) { through(call, "HardSwish"); }
void floor_of(Call& call) { through(call, "Floor"); }
void elu(Call& call) { through(call, "Elu"); }
void selu(Call& call) { through(call, "Selu"); }
void leaky_relu(Call& call) {
  through(call, "LeakyRelu", {keras::real("alpha", call.real("alpha", 0.2))});
}
void gelu(Call& call) {
  call.writer().needs_opset(20);
  through(call, "Gelu", {keras::text("approximate", call.flag("approximate") ? "tanh" : "none")});
}

void square(Call& call) {
  if (folded(call)) return;
  Value x = call.value(0);
  x.name = call.writer().node("Mul", {x.name, x.name});
  x.of_image = false;
  call.give(x);
}

void reciprocal_root(Call& call) {
  if (folded(call)) return;
  call.give(call.node("Reciprocal", call.node("Sqrt", call.value(0))));
}
void reciprocal(Call& call) { through(call, "Reciprocal"); }

void relu6(Call& call) { call.give(with_activation(call, call.value(0), "RELU6")); }
void relu_1(Call& call) { call.give(with_activation(call, call.value(0), "RELU_N1_TO_1")); }
void relu_0_1(Call& call) { call.give(with_activation(call, call.value(0), "RELU_0_TO_1")); }

void prelu(Call& call) {
  const Value x = call.value(0);
  const Tensor& slopes = call.constant(1, "slopes");
  const Dims dims(slopes.shape().begin(), slopes.shape().end());
  GRAFT_CHECK(broadcast(x.dims, dims) == x.dims, "its slopes ", slopes.shape(), " do not meet ",
              join(x.dims));
  Tensor meeting = call.writer().meeting(x, slopes.to(DType::f32));
  if (meeting.rank() == static_cast<int>(x.rank())) {  // without the batch's axis
    GRAFT_CHECK(meeting.size(0) == 1, "its slopes are the batch's");
    meeting = meeting.reshape(Shape(Dims(meeting.shape().begin() + 1, meeting.shape().end())));
  }
  Value out = x;
  out.of_image = false;
  out.name = call.writer().node(
      "PRelu", {x.name, call.t.stored(call.item(1), meeting,
                                      x.channels_first ? "channels first slopes" : "slopes")});
  call.give(out);
}

void softmax_as(Call& call, const char* onnx) {
  Value x = call.value(0);
  GRAFT_CHECK(x.rank() >= 1 && !is_of_batch(x.dims.back()), "is taken over the batch");
  const double beta = call.real("beta", 1);
  if (beta != 1) {
    const std::string factor = call.writer().number(beta);
    x.name = call.writer().node("Mul", {x.name, factor});
  }
  call.give(call.node(onnx, x, {keras::integer("axis", Writer::stored_axis(x, -1))}));
}
void softmax(Call& call) { softmax_as(call, "Softmax"); }
void log_softmax(Call& call) { softmax_as(call, "LogSoftmax"); }

// Over the last axis, to a length of 1.
void to_unit_length(Call& call) {
  const Value x = call.value(0);
  GRAFT_CHECK(x.rank() >= 2, "takes values of at least two axes");
  call.give(
      call.node("LpNormalization", x,
                {keras::integer("axis", Writer::stored_axis(x, -1)), keras::integer("p", 2)}));
}

void clip_by(Call& call) {
  const auto limit = [&](size_t i) {
    const Tensor& number = call.constant(i, "limit");
    GRAFT_CHECK(number.numel() == 1, "its limit is no single number");
    return call.writer().number(number.to_doubles()[0]);
  };
  Value x = call.value(0);
  const std::string least = limit(1), most = limit(2);
  x.name = call.writer().node("Clip", {x.name, least, most});
  x.of_image = false;
  call.give(x);
}

// Between floating types nothing is left to do; whole numbers become floating ones.
void cast(Call& call) {
  const Item& in = call.item(0);
  if (in.sizes || in.is_constant()) {
    Item same = in;
    const bool to_real = call.flag("to_real");
    if (to_real && same.is_constant()) {
      same.constant = same.constant.to(DType::f32);
      same.sizes.reset();
    }
    call.give(std::move(same));
    return;
  }
  GRAFT_CHECK(call.flag("to_real"), "makes whole numbers of what is computed from the image");
  Item same = in;
  call.give(std::move(same));
}

void same(Call& call) {
  Item in = call.item(0);
  call.give(std::move(in));
}

constexpr KnownOperator kElementwiseOperators[] = {
    {"Add", add},
    {"AddV2", add},
    {"Sub", subtract},
    {"Mul", multiply},
    {"RealDiv", divide},
    {"Div", divide},
    {"FloorDiv", divide},
    {"Pow", power},
    {"Maximum", maximum},
    {"Minimum", minimum},
    {"SquaredDifference", squared_difference},
    {"AddN", add_all},
    {"Relu", relu},
    {"Relu6", relu6},
    {"ReluN1To1", relu_1},
    {"Relu0To1", relu_0_1},
    {"Prelu", prelu},
    {"LeakyRelu", leaky_relu},
    {"Elu", elu},
    {"Selu", selu},
    {"Gelu", gelu},
    {"HardSwish", hard_swish},
    {"Sigmoid", sigmoid},
    {"Tanh", tanh_of},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Exp", exp_of},
    {"Log", log_of},
    {"Neg", negative},
    {"Abs", absolute},
    {"Sqrt", square_root},
    {"Rsqrt", reciprocal_root},
    {"Reciprocal", reciprocal},
    {"Inv", reciprocal},
    {"Square", square},
    {"Floor", floor_of},
    {"Softmax", softmax},
    {"LogSoftmax", log_softmax},
    {"L2Normalize", to_unit_length},
    {"ClipByValue", clip_by},
    {"Cast", cast},
    {"Identity", same},
    {"StopGradient", same},
    {"PreventGradient", same},
    {"CheckNumerics", same},
    {"Dequantize", same},
};

}  // namespace

Value with_activation(Call& call, const Value& value, const std::string& function) {
  if (function.empty() || function == "NONE") return value;
  if (function == "RELU") return call.node("Relu", value);
  if (function == "TANH") return call.node("Tanh", value);
  double low = 0, high = 6;
  if (function == "RELU_N1_TO_1") low = -1, high = 1;
  if (function == "RELU_0_TO_1") high = 1;
  GRAFT_CHECK(function.starts_with("RELU"), "its fused activation ", function,
              " is none that graft knows");
  const std::string least = call.writer().number(low), most = call.writer().number(high);
  Value result = value;
  result.of_image = false;
  result.name = call.writer().node("Clip", {value.name, least, most});
  return result;
}

OperatorTable elementwise_operators() { return kElementwiseOperators; }

}  // namespace graft::models::tensorflow
