// Operators that make tensors: Constant, ConstantOfShape, Range, EyeLike.
#include "graft/layers/functional/movement.h"
#include "graft/models/graph/element_type.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

OpOutputs constant_op(const OpCall& call) {
  const io::onnx::Node& node = call.node();
  GRAFT_CHECK(node.attributes.size() == 1, "a constant has one value, this one ",
              node.attributes.size());
  const io::onnx::Attribute& value = node.attributes[0];
  if (value.name == "value") {
    GRAFT_CHECK(value.tensors.size() == 1 && value.tensors[0].value.defined(),
                "its value is not a tensor of numbers");
    return {value.tensors[0].value};
  }
  if (value.name == "value_float") return {Tensor::scalar(value.f)};
  if (value.name == "value_floats") return {Tensor::of({std::ssize(value.floats)}, value.floats)};
  if (value.name == "value_int") return {tensor_of({value.i}).reshape(Shape())};
  if (value.name == "value_ints") return {tensor_of(value.ints)};
  bad_input("a constant of the kind ", value.name, " is not supported");
}

OpOutputs constant_of_shape(const OpCall& call) {
  const Shape shape(call.numbers(0));
  call.check_size(shape.numel());
  const io::onnx::Attribute* value = call.node().find("value");
  if (!value) return {Tensor::zeros(shape)};
  GRAFT_CHECK(value->tensors.size() == 1 && value->tensors[0].value.defined() &&
                  value->tensors[0].value.numel() == 1,
              "its value is not one number");
  const Tensor& one = value->tensors[0].value;
  return {Tensor::full(shape, one.item(), {.dtype = one.dtype()})};
}

OpOutputs range_op(const OpCall& call) {
  const DType dtype = call.in(0).dtype();
  for (size_t i = 0; i < 3; ++i)
    GRAFT_CHECK(call.in(i).numel() == 1, "input ", i, " is not one number");
  const double start = call.in(0).item(), limit = call.in(1).item(), delta = call.in(2).item(),
               count = (limit - start) / delta;
  GRAFT_CHECK(delta != 0 && count < 1e15, "a range from ", start, " to ", limit, " in steps of ",
              delta);
  call.check_size(static_cast<int64_t>(std::max(count, 0.0)));
  if (is_floating(dtype)) return {functional::range(start, limit, delta, dtype)};
  return {functional::range(call.numbers(0)[0], call.numbers(1)[0], call.numbers(2)[0], dtype)};
}

OpOutputs eye_like(const OpCall& call) {
  const Tensor& x = call.in(0);
  GRAFT_CHECK(x.rank() == 2, "input ", x.shape(), " is not a matrix");
  const DType dtype =
      call.given("dtype")
          ? dtype_of_element(static_cast<io::onnx::ElementType>(call.integer("dtype")))
          : x.dtype();
  return {functional::eye(x.shape()[0], x.shape()[1], call.integer("k", 0), dtype)};
}

constexpr Operator kConstants[] = {
    {"Constant", constant_op,
     "value value_float value_floats value_int value_ints value_string value_strings sparse_value",
     Layout::any},
    reading({"ConstantOfShape", constant_of_shape, "value", Layout::any}, {0}),
    reading({"Range", range_op, "stash_type", Layout::any}, {0, 1, 2}),
    {"EyeLike", eye_like, "dtype k", Layout::any},
};

}  // namespace

OperatorTable constant_operators() { return kConstants; }

}  // namespace graft::models::graph
