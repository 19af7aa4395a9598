// Layers of several inputs, and the arithmetic between layers that Keras writes as operations.
#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"
#include "graft/models/naming/keras_layers.h"

namespace graft::models::keras {
namespace {

int64_t broadcast(int64_t a, int64_t b) {
  GRAFT_CHECK(a == b || a <= 1 || b <= 1, "its inputs have extents of ", a, " and ", b);
  return a < 0 && b == 1 ? -1 : b < 0 && a == 1 ? -1 : std::max(a, b);
}

// All values of one rank and one order of axes. Keras puts missing axes behind the batch, its
// operations in front.
std::vector<Value> aligned(LayerCall& call, bool behind_batch) {
  size_t rank = 0;
  bool first = false;
  for (const Value& in : call.inputs) rank = std::max(rank, in.rank());
  std::vector<Value> values;
  for (Value in : call.inputs) {
    if (in.rank() < rank) {
      in = call.writer.in_order(in);
      std::vector<int64_t> axes;
      for (size_t axis = 0; axis < rank - in.rank(); ++axis)
        axes.push_back(static_cast<int64_t>(axis) + (behind_batch ? 1 : 0));
      in.name = call.writer.node("Unsqueeze", {in.name, call.writer.numbers(axes)});
      in.dims.insert(in.dims.begin() + (behind_batch ? 1 : 0), axes.size(), 1);
    }
    first = first || in.channels_first;
    values.push_back(in);
  }
  for (Value& value : values)
    value = first ? call.writer.channels_first(value) : call.writer.in_order(value);
  return values;
}

Value merged(LayerCall& call, const char* op, bool behind_batch, bool of_two) {
  GRAFT_CHECK(!call.inputs.empty() && (!of_two || call.inputs.size() == 2), "takes ",
              of_two ? "two inputs" : "inputs", ", and is given ", call.inputs.size());
  const std::vector<Value> values = aligned(call, behind_batch);
  Value out = call.with_name(values[0], values[0].name);
  std::vector<std::string> names;
  for (const Value& value : values) {
    names.push_back(value.name);
    for (size_t axis = 0; axis < out.rank(); ++axis)
      out.dims[axis] = broadcast(out.dims[axis], value.dims[axis]);
  }
  if (names.size() == 1) return out;
  const std::string word = op;
  if (word == "Max" || word == "Min" || word == "Mean") {
    out.name = call.writer.node(op, names);
    return out;
  }
  out.name = names[0];
  for (size_t i = 1; i < names.size(); ++i) out.name = call.writer.node(op, {out.name, names[i]});
  return out;
}

Value add(LayerCall& call) { return merged(call, "Add", true, false); }
Value multiply(LayerCall& call) { return merged(call, "Mul", true, false); }
Value subtract(LayerCall& call) { return merged(call, "Sub", true, true); }
Value average(LayerCall& call) { return merged(call, "Mean", true, false); }
Value maximum(LayerCall& call) { return merged(call, "Max", true, false); }
Value minimum(LayerCall& call) { return merged(call, "Min", true, false); }

Value concatenate(LayerCall& call) {
  GRAFT_CHECK(!call.inputs.empty(), "has no inputs");
  const size_t rank = call.in().rank();
  for (const Value& in : call.inputs)
    GRAFT_CHECK(in.rank() == rank, "its inputs have ranks of ", rank, " and ", in.rank());
  const std::vector<Value> values = aligned(call, true);
  const size_t axis = axis_of(call.settings().integer("axis", -1), rank);
  Value out = call.with_name(values[0], "");
  std::vector<std::string> names;
  out.dims[axis] = 0;
  for (const Value& value : values) {
    names.push_back(value.name);
    for (size_t a = 0; a < rank; ++a) {
      if (a != axis)
        GRAFT_CHECK(value.dims[a] == out.dims[a] || value.dims[a] < 0 || out.dims[a] < 0,
                    "its inputs have extents of ", out.dims[a], " and ", value.dims[a]);
      else
        out.dims[a] = out.dims[a] < 0 || value.dims[a] < 0 ? -1 : out.dims[a] + value.dims[a];
    }
  }
  out.name = call.writer.node(
      "Concat", names, {integer("axis", Writer::stored_axis(out, static_cast<int64_t>(axis)))});
  return out;
}

// A product along one axis of each, batch by batch.
Value dot(LayerCall& call) {
  GRAFT_CHECK(call.inputs.size() == 2, "takes two inputs");
  GRAFT_CHECK(!call.settings().flag("normalize", false),
              "normalizes its inputs, which is not known");
  std::vector<int64_t> axes = call.settings().integers("axes", {-1});
  if (axes.size() == 1) axes.push_back(axes[0]);
  GRAFT_CHECK(axes.size() == 2, "its axes are ", axes.size());
  std::string equation, result = "a";
  Value out;
  std::vector<std::string> names;
  out.dims = {call.in().dims.at(0)};
  char letter = 'b';
  for (size_t i = 0; i < 2; ++i) {
    const Value in = call.writer.in_order(call.in(i));
    const size_t along = axis_of(axes[i], in.rank());
    GRAFT_CHECK(along >= 1, "its axis is the batch");
    names.push_back(in.name);
    if (i > 0) equation += ',';
    for (size_t axis = 0; axis < in.rank(); ++axis) {
      const char name = axis == 0 ? 'a' : axis == along ? 'z' : letter++;
      equation += name;
      if (axis == 0 || axis == along) continue;
      result += name;
      out.dims.push_back(in.dims[axis]);
    }
  }
  out.name = call.writer.node("Einsum", names, {text("equation", equation + "->" + result)});
  if (out.dims.size() > 1) return out;
  out.dims.push_back(1);
  out.name = call.writer.node("Unsqueeze", {out.name, call.writer.numbers({1})});
  return out;
}

// --- operations: arguments are values or numbers ---

Value arithmetic(LayerCall& call, const char* op) {
  GRAFT_CHECK(call.call && call.call->arguments.size() == 2, "takes two values or numbers");
  if (call.inputs.size() == 2) return merged(call, op, false, true);
  GRAFT_CHECK(call.inputs.size() == 1, "computes with numbers alone");
  const Value& in = call.in();
  const auto& arguments = call.call->arguments;
  const bool number_first = arguments[0].layer.empty();
  const std::string number = call.writer.number(arguments[number_first ? 0 : 1].number);
  return call.with_name(
      in, call.writer.node(op, number_first ? std::vector<std::string>{number, in.name}
                                            : std::vector<std::string>{in.name, number}));
}

Value add_operation(LayerCall& call) { return arithmetic(call, "Add"); }
Value subtract_operation(LayerCall& call) { return arithmetic(call, "Sub"); }
Value multiply_operation(LayerCall& call) { return arithmetic(call, "Mul"); }
Value divide_operation(LayerCall& call) { return arithmetic(call, "Div"); }
Value maximum_operation(LayerCall& call) { return arithmetic(call, "Max"); }
Value minimum_operation(LayerCall& call) { return arithmetic(call, "Min"); }

// keras.ops.relu and its like are classes named by the function.
Value activation_operation(LayerCall& call) {
  std::string word = call.layer.kind == "ReLU" ? "relu" : snake_case(call.layer.kind);
  return apply_activation(call, call.in(), word, call.settings());
}

Value gelu_operation(LayerCall& call) {  // keras.ops' own default
  LayerSettings settings = call.settings();
  if (settings.has("approximate")) return apply_activation(call, call.in(), "gelu", settings);
  call.writer.needs_opset(20);
  return call.with_name(call.in(),
                        call.writer.node("Gelu", {call.in().name}, {text("approximate", "tanh")}));
}

// TensorFlow's functions between layers of Keras 2, by the name in the configuration.
Value tensorflow_operation(LayerCall& call) {
  const std::string function = call.settings().text("function", "");
  for (const auto& [name, op] :
       {std::pair{"__operators__.add", "Add"}, std::pair{"math.add", "Add"},
        std::pair{"math.subtract", "Sub"}, std::pair{"math.multiply", "Mul"},
        std::pair{"math.truediv", "Div"}, std::pair{"math.divide", "Div"},
        std::pair{"math.maximum", "Max"}, std::pair{"math.minimum", "Min"}})
    if (function == name) return arithmetic(call, op);
  for (const char* name : {"nn.relu", "nn.relu6", "nn.silu", "nn.selu", "nn.elu", "nn.softplus",
                           "nn.softmax", "math.sigmoid", "math.tanh", "nn.sigmoid", "nn.tanh"})
    if (function == name)
      return apply_activation(call, call.in(), function.substr(function.find('.') + 1), {});
  bad_input("is TensorFlow's function '", function.substr(0, 60), "', which graft does not know");
}

constexpr LayerKind kMergingLayers[] = {
    {"Add", add},
    {"Multiply", multiply},
    {"Subtract", subtract},
    {"Average", average},
    {"Maximum", maximum},
    {"Minimum", minimum},
    {"Concatenate", concatenate},
    {"Dot", dot},
};

constexpr LayerKind kOperations[] = {
    {"Add", add_operation},
    {"Subtract", subtract_operation},
    {"Multiply", multiply_operation},
    {"Divide", divide_operation},
    {"TrueDivide", divide_operation},
    {"Maximum", maximum_operation},
    {"Minimum", minimum_operation},
    {"Relu", activation_operation},
    {"ReLU", activation_operation},
    {"Relu6", activation_operation},
    {"Sigmoid", activation_operation},
    {"Silu", activation_operation},
    {"Tanh", activation_operation},
    {"Softmax", activation_operation},
    {"HardSigmoid", activation_operation},
    {"HardSilu", activation_operation},
    {"Softplus", activation_operation},
    {"Elu", activation_operation},
    {"Selu", activation_operation},
    {"LeakyRelu", activation_operation},
    {"Gelu", gelu_operation},
    {"TFOpLambda", tensorflow_operation},
};

}  // namespace

LayerTable merging_layers() { return kMergingLayers; }
LayerTable operation_layers() { return kOperations; }

}  // namespace graft::models::keras
