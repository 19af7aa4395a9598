// The operators that graphs may use: one table per family maps an ONNX operator to a function over
// tensors. Differences between opsets are handled in the functions. Reference:
// https://github.com/onnx/onnx/blob/main/docs/Operators.md
#pragma once
#include <initializer_list>
#include <span>
#include <string_view>

#include "graft/models/graph/op_call.h"

namespace graft::models::graph {

// The memory layout in which an operator gets its rank-4 floating inputs.
enum class Layout : unsigned char {
  contiguous,  // NCHW order
  images,      // channels last, which the fast kernels want
  uniform,     // one for all: that of the first which a node computed
  any,         // as they come
};

struct Operator {
  const char* name;
  OpOutputs (*run)(const OpCall& call);
  const char* attributes = "";  // those it knows, separated by blanks; others are refused
  Layout layout = Layout::contiguous;
  const char* domain = "";
  unsigned numbers =
      0;  // bit i: input i is read as numbers (a shape, axes, a limit), so it is wanted on the host

  constexpr bool reads_number(size_t input) const {
    return input < 32 && (numbers >> input & 1u) != 0;
  }
};

// The operator, with those of its inputs that are read as numbers.
constexpr Operator reading(Operator op, std::initializer_list<unsigned> inputs) {
  for (const unsigned input : inputs) op.numbers |= 1u << input;
  return op;
}

using OperatorTable = std::span<const Operator>;

OperatorTable convolution_operators();
OperatorTable pooling_operators();
OperatorTable normalization_operators();
OperatorTable elementwise_operators();
OperatorTable activation_operators();
OperatorTable shape_operators();
OperatorTable movement_operators();
OperatorTable indexing_operators();
OperatorTable constant_operators();
OperatorTable linear_operators();
OperatorTable reduction_operators();
OperatorTable image_operators();
OperatorTable quantization_operators();
OperatorTable loss_operators();
OperatorTable attention_operators();

// Null when graft does not know it.
const Operator* find_operator(std::string_view domain, std::string_view op_type);
bool knows_attribute(const Operator& op, std::string_view attribute);

}  // namespace graft::models::graph
