#include "graft/models/graph/op_call.h"

#include <charconv>

namespace graft::models::graph {

using io::onnx::Attribute;
using io::onnx::AttributeType;

namespace {

// Null when absent. Very old files leave the kind out where the value is the default.
const Attribute* find_attribute(const io::onnx::Node& node, const char* name, AttributeType type) {
  const Attribute* attribute = node.find(name);
  const bool fits =
      !attribute || attribute->type == type || attribute->type == AttributeType::undefined;
  GRAFT_CHECK(fits, "its attribute ", name, " is of another kind than ONNX says");
  return attribute;
}

}  // namespace

const Tensor& OpCall::in(size_t input) const {
  GRAFT_CHECK(has(input), "its input ", input, " is missing");
  return inputs_[input];
}

Tensor OpCall::optional(size_t input) const { return has(input) ? inputs_[input] : Tensor(); }

std::vector<int64_t> OpCall::numbers(size_t input) const { return integers_of(in(input)); }

int64_t OpCall::number(size_t input) const {
  GRAFT_CHECK(in(input).numel() == 1, "its input ", input, " ", in(input).shape(),
              " is not one number");
  return numbers(input)[0];
}

int64_t OpCall::integer(const char* name) const {
  const Attribute* attribute = find_attribute(node_, name, AttributeType::int_);
  GRAFT_CHECK(attribute != nullptr, "its attribute ", name, " is missing");
  return attribute->i;
}

int64_t OpCall::integer(const char* name, int64_t otherwise) const {
  const Attribute* attribute = find_attribute(node_, name, AttributeType::int_);
  return attribute ? attribute->i : otherwise;
}

double OpCall::real(const char* name, double otherwise) const {
  const Attribute* attribute = find_attribute(node_, name, AttributeType::float_);
  return attribute ? shortest_decimal(attribute->f) : otherwise;
}

std::vector<int64_t> OpCall::integers(const char* name, std::vector<int64_t> otherwise) const {
  const Attribute* attribute = find_attribute(node_, name, AttributeType::ints);
  return attribute ? attribute->ints : std::move(otherwise);
}

std::string OpCall::text(const char* name, const std::string& otherwise) const {
  const Attribute* attribute = find_attribute(node_, name, AttributeType::string);
  return attribute ? attribute->s : otherwise;
}

std::vector<int64_t> OpCall::numbers_or_attribute(size_t input, const char* attribute,
                                                  bool* found) const {
  if (found) *found = has(input) || given(attribute);
  return has(input) ? numbers(input) : integers(attribute);
}

void OpCall::check_size(int64_t elements) const {
  GRAFT_CHECK(elements <= mode_.most_elements, "its result of ", elements,
              " elements is more than ", mode_.most_elements);
}

int at_axis(int64_t axis, int rank) {
  GRAFT_CHECK(axis >= -rank && axis < rank, "axis ", axis, " of a tensor of rank ", rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<int64_t> integers_of(const Tensor& tensor) {
  GRAFT_CHECK(!is_floating(tensor.dtype()), "whole numbers are needed, got ",
              name_of(tensor.dtype()));
  const Tensor wide = tensor.to(MemoryFormat::contiguous).to(DType::i64);
  return {wide.data<int64_t>(), wide.data<int64_t>() + wide.numel()};
}

Tensor tensor_of(const std::vector<int64_t>& numbers) {
  return Tensor::of<int64_t>({std::ssize(numbers)}, numbers);
}

double shortest_decimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double result = value;
  std::from_chars(text, written.ptr, result);
  return result;
}

std::string title_of(const io::onnx::Node& node) {
  const std::string& name = !node.name.empty()      ? node.name
                            : !node.outputs.empty() ? node.outputs[0]
                                                    : node.op_type;
  return str(node.op_type, " node '", name.substr(0, 200), "'");
}

}  // namespace graft::models::graph
