// Operators that compute on quantized tensors, said as DequantizeLinear, the float operator and
// QuantizeLinear: the same numbers, but for how a program of integers rounds.
#pragma once
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models::graph {

enum class QuantizedForms : unsigned char {
  onnxruntime,  // those of com.microsoft, which graft does not run
  all,          // ONNX's own too: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger
};

// How many nodes were replaced. What is not known in one of these forms stays as it is.
int64_t expand_quantized_operators(std::vector<io::onnx::Node>& nodes, QuantizedForms forms);

}  // namespace graft::models::graph
