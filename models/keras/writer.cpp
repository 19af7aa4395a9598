#include "graft/models/keras/writer.h"

#include "graft/core/base/error.h"
#include "graft/models/naming/permuted.h"

namespace graft::models::keras {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::ElementType;

constexpr size_t kMostGraphNodes = 50'000, kMostPathBytes = 1'000;

// Keras' axes in the stored order.
std::vector<int64_t> to_channels_first(size_t rank) {
  std::vector<int64_t> order{0, static_cast<int64_t>(rank) - 1};
  for (size_t axis = 1; axis + 1 < rank; ++axis) order.push_back(static_cast<int64_t>(axis));
  return order;
}

std::vector<int64_t> to_channels_last(size_t rank) {
  std::vector<int64_t> order{0};
  for (size_t axis = 2; axis < rank; ++axis) order.push_back(static_cast<int64_t>(axis));
  order.push_back(1);
  return order;
}

}  // namespace

int64_t Value::at(int64_t axis) const { return dims[axis_of(axis, rank())]; }

size_t axis_of(int64_t axis, size_t rank) {
  const auto count = static_cast<int64_t>(rank);
  GRAFT_CHECK(axis >= -count && axis < count, "its axis ", axis, " is none of a value of rank ",
              rank);
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

Attribute ints(const char* name, std::vector<int64_t> values) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::ints;
  a.ints = std::move(values);
  return a;
}

Attribute integer(const char* name, int64_t value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::int_;
  a.i = value;
  return a;
}

Attribute real(const char* name, double value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::float_;
  a.f = static_cast<float>(value);
  return a;
}

Attribute text(const char* name, const std::string& value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::string;
  a.s = value;
  return a;
}

Writer::Writer() { model_.graph.name = "keras"; }

std::string Writer::unique(const std::string& name) {
  int& number = numbers_of_[name];  // where the search goes on: many calls of one layer ask
  std::string result = number == 0 ? name : str(name, ":", number);
  while (!names_.insert(result).second) result = str(name, ":", ++number);
  ++number;
  return result;
}

void Writer::begin(const std::string& path) {
  GRAFT_CHECK(path.size() <= kMostPathBytes, "the names of models and layers take ", path.size(),
              " bytes for one layer");
  path_ = path;
  first_node_ = model_.graph.nodes.size();
}

void Writer::end(Value& result) {
  auto& nodes = model_.graph.nodes;
  if (nodes.size() == first_node_ || nodes.back().outputs[0] != result.name ||
      turns_.contains(result.name))
    return;
  const std::string name = unique(path_);
  nodes.back().name = nodes.back().outputs[0] = result.name = name;
}

std::string Writer::node(const std::string& op, std::vector<std::string> inputs,
                         Attributes attributes) {
  GRAFT_CHECK(model_.graph.nodes.size() < kMostGraphNodes,
              "the model becomes a graph of more than ", kMostGraphNodes, " nodes");
  io::onnx::Node node;
  node.op_type = op;
  node.name = unique(path_ + "/" + op);
  node.inputs = std::move(inputs);
  node.outputs = {node.name};
  node.attributes = std::move(attributes);
  model_.graph.nodes.push_back(std::move(node));
  return model_.graph.nodes.back().name;
}

io::onnx::Node* Writer::recent_node(const std::string& output) {
  constexpr size_t kRecent = 16;
  auto& nodes = model_.graph.nodes;
  for (size_t i = nodes.size(), left = kRecent; i-- > 0 && left-- > 0;)
    if (nodes[i].outputs[0] == output) return &nodes[i];
  return nullptr;
}

std::string Writer::parameter(const std::string& name, const Tensor& tensor) {
  if (parameters_.contains(name)) return name;
  GRAFT_CHECK(names_.insert(name).second, "two things of the model are named '", name, "'");
  parameters_.insert(name);
  return stored(name, tensor);
}

std::string Writer::constant(const Tensor& tensor) {
  return stored(unique(path_ + "/constant"), tensor);
}

std::string Writer::stored(const std::string& name, const Tensor& tensor) {
  io::onnx::NamedTensor named;
  named.name = name;
  named.type = tensor.dtype() == DType::i64  ? ElementType::int64
               : tensor.dtype() == DType::i8 ? ElementType::int8
               : tensor.dtype() == DType::u8 ? ElementType::uint8
                                             : ElementType::float32;
  named.dims.assign(tensor.shape().begin(), tensor.shape().end());
  named.value = tensor;
  model_.graph.initializers.push_back(std::move(named));
  return name;
}

std::string Writer::number(double value) { return constant(Tensor::scalar(value)); }

std::string Writer::numbers(const std::vector<int64_t>& values) {
  return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

Value Writer::turned(const Value& value, bool channels_first) {
  if (value.channels_first == channels_first || value.rank() < 3) return value;
  Value result = value;
  result.channels_first = channels_first;
  const auto known = turned_.find(value.name);
  if (known != turned_.end()) {
    result.name = known->second;
    return result;
  }
  result.name = node("Transpose", {value.name},
                     {ints("perm", channels_first ? to_channels_first(value.rank())
                                                  : to_channels_last(value.rank()))});
  turns_.insert(result.name);
  turned_[value.name] = result.name;
  turned_[result.name] = value.name;
  return result;
}

Value Writer::in_order(const Value& value) { return turned(value, false); }
Value Writer::channels_first(const Value& value) { return turned(value, true); }

int64_t Writer::stored_axis(const Value& value, int64_t axis) {
  const size_t own = axis_of(axis, value.rank());
  if (!value.channels_first || own == 0) return static_cast<int64_t>(own);
  return own + 1 == value.rank() ? 1 : static_cast<int64_t>(own) + 1;
}

Tensor Writer::meeting(const Value& value, const Tensor& constant) const {
  if (!value.channels_first || constant.numel() == 1) return constant;
  const size_t rank = value.rank();
  std::vector<int64_t> extents(rank - static_cast<size_t>(constant.rank()), 1);
  extents.insert(extents.end(), constant.shape().begin(), constant.shape().end());
  std::vector<size_t> order;
  for (const int64_t axis : to_channels_first(rank)) order.push_back(static_cast<size_t>(axis));
  return permuted(constant.reshape(Shape(extents)), order);
}

io::onnx::Model Writer::take(const std::vector<Value>& inputs,
                             const std::vector<ElementType>& types,
                             const std::vector<Value>& outputs) {
  const auto info = [](const Value& value, ElementType type) {
    io::onnx::ValueInfo result;
    result.name = value.name;
    result.type = type;
    result.has_shape = true;
    std::vector<int64_t> dims = value.dims;
    if (value.channels_first) {
      dims.clear();
      for (const int64_t axis : to_channels_first(value.rank()))
        dims.push_back(value.dims[static_cast<size_t>(axis)]);
    }
    for (const int64_t dim : dims) result.dims.push_back({.value = dim, .symbol = ""});
    return result;
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    model_.graph.inputs.push_back(info(inputs[i], types[i]));
  for (const Value& output : outputs)
    model_.graph.outputs.push_back(info(output, ElementType::float32));
  model_.opsets = {{.domain = "", .version = opset_}};
  model_.ir_version = 8;
  model_.producer_name = "keras";
  return std::move(model_);
}

}  // namespace graft::models::keras
