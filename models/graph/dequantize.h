// A graph of quantized values as one of float values: what only rounds passes, what saturates
// stays.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models::graph {

using Constants = std::unordered_map<std::string, Tensor>;

// By name: the file's own types, which tell what tensors have in common ("int16" and "uint16").
using ElementTypes = std::map<std::string, io::onnx::ElementType>;

struct Dequantized {
  int64_t clips = 0;    // QuantizeLinear as a Clip to what the integers can hold
  int64_t dynamic = 0;  // DynamicQuantizeLinear, whose range follows its input: left out
};

// Quantized operators must have been expanded and constants folded (quantized_operators.h). A
// quantizer's saturation does the work of a ReLU that it removed, so QuantizeLinear becomes a Clip,
// whose gradient passes within the range; values pass through DequantizeLinear, and through what
// moves quantized values or takes their largest. Scales of dynamic quantization become the constant
// 1. `opset` is ai.onnx's. bad_input naming the node where a quantized value is used in another
// way. `types`: the stored tensors' types in the file.
Dequantized dequantize(std::vector<io::onnx::Node>& nodes, Constants& constants,
                       const ElementTypes& types, int64_t opset);

// A product with constant weights whose result is multiplied by a constant number (one a column):
// that number goes into the weights. What dynamic quantization leaves.
void absorb_scales(std::vector<io::onnx::Node>& nodes, Constants& constants,
                   const std::vector<std::string>& outputs);

}  // namespace graft::models::graph
