// Operators that make tensors: Constant, ConstantOfShape.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

OpOutputs constant_op(const OpCall& call) {
  const io::onnx::Node& node = call.node();
  GRAFT_CHECK(node.attributes.size() == 1, "a constant has one value, this one ", node.attributes.size());
  const io::onnx::Attribute& value = node.attributes[0];
  if (value.name == "value") {
    GRAFT_CHECK(value.tensors.size() == 1 && value.tensors[0].value.defined(), "its value is not a tensor of numbers");
    return {value.tensors[0].value};
  }
  if (value.name == "value_float") return {Tensor::scalar(value.f)};
  if (value.name == "value_floats") return {Tensor::of({std::ssize(value.floats)}, value.floats)};
  if (value.name == "value_int") return {functional::reshape(tensor_of({value.i}), Shape())};
  if (value.name == "value_ints") return {tensor_of(value.ints)};
  bad_input("a constant of the kind ", value.name, " is not supported");
}

OpOutputs constant_of_shape(const OpCall& call) {
  const Shape shape(call.numbers(0));
  call.check_size(shape.numel());
  const io::onnx::Attribute* value = call.node().find("value");
  if (!value) return {Tensor::zeros(shape)};
  GRAFT_CHECK(value->tensors.size() == 1 && value->tensors[0].value.defined() && value->tensors[0].value.numel() == 1, "its value is not one number");
  const Tensor& one = value->tensors[0].value;
  return {Tensor::full(shape, one.item(), {.dtype = one.dtype()})};
}

constexpr Operator kConstants[] = {
    {"Constant", constant_op, "value value_float value_floats value_int value_ints value_string value_strings sparse_value", Layout::any},
    {"ConstantOfShape", constant_of_shape, "value", Layout::any},
};

}  // namespace

OperatorTable constant_operators() { return kConstants; }

}  // namespace graft::models::graph
