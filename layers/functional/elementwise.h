// Element-wise functions beyond arithmetic: parameterised activations, comparisons, logic, where,
// cast. Binary ones broadcast as NumPy does, and take two inputs of one dtype. Comparisons, logic
// and tests give bool and have no gradient.
#pragma once
#include "graft/kernels/ops/select.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/unary.h"

namespace graft::functional {

// With the function's parameters; ops/unary.h has the formulas. Integers: relu, relu6, neg, abs,
// sign, clip, bitwise_not.
GRAFT_API Tensor unary(const Tensor& x, const ops::UnaryAttributes& attributes);

inline Tensor neg(const Tensor& x) { return unary(x, ops::Unary::neg); }
inline Tensor abs(const Tensor& x) { return unary(x, ops::Unary::abs); }
inline Tensor exp(const Tensor& x) { return unary(x, ops::Unary::exp); }
inline Tensor log(const Tensor& x) { return unary(x, ops::Unary::log); }
inline Tensor sqrt(const Tensor& x) { return unary(x, ops::Unary::sqrt); }
inline Tensor reciprocal(const Tensor& x) { return unary(x, ops::Unary::reciprocal); }
inline Tensor leaky_relu(const Tensor& x, double slope = 0.01) {
  return unary(x, {ops::Unary::leaky_relu, slope});
}
inline Tensor elu(const Tensor& x, double alpha = 1) { return unary(x, {ops::Unary::elu, alpha}); }
inline Tensor celu(const Tensor& x, double alpha = 1) {
  return unary(x, {ops::Unary::celu, alpha});
}
inline Tensor selu(const Tensor& x, double alpha = 1.6732632423543772,
                   double gamma = 1.0507009873554805) {
  return unary(x, {ops::Unary::selu, alpha, gamma});
}
inline Tensor hard_sigmoid(const Tensor& x, double alpha = 1.0 / 6, double beta = 0.5) {
  return unary(x, {ops::Unary::hard_sigmoid, alpha, beta});
}
inline Tensor hard_swish(const Tensor& x) { return unary(x, ops::Unary::hard_swish); }
inline Tensor thresholded_relu(const Tensor& x, double alpha = 1) {
  return unary(x, {ops::Unary::thresholded_relu, alpha});
}
inline Tensor shrink(const Tensor& x, double lambda = 0.5, double bias = 0) {
  return unary(x, {ops::Unary::shrink, lambda, bias});
}
inline Tensor clip(const Tensor& x, double low, double high) {
  return unary(x, {ops::Unary::clip, low, high});
}
inline Tensor gelu(const Tensor& x, bool tanh_form = false) {
  return unary(x, tanh_form ? ops::Unary::gelu_tanh : ops::Unary::gelu);
}
inline Tensor silu(const Tensor& x, double alpha = 1) {
  return unary(x, {ops::Unary::silu, alpha});
}
inline Tensor mish(const Tensor& x) { return unary(x, ops::Unary::mish); }
inline Tensor logical_not(const Tensor& x) { return unary(x, ops::Unary::logical_not); }
inline Tensor is_nan(const Tensor& x) { return unary(x, ops::Unary::is_nan); }
inline Tensor is_inf(const Tensor& x, bool negative = true, bool positive = true) {
  return unary(x, {ops::Unary::is_inf, negative ? 1.0 : 0.0, positive ? 1.0 : 0.0});
}

// ONNX's Pow: the exponent may have another dtype; the result has a's. An integer base to a
// floating power truncates.
GRAFT_API Tensor pow(const Tensor& a, const Tensor& b);
inline Tensor minimum(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::min); }
inline Tensor maximum(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::max); }
// slope broadcasts to x from the right, as in ONNX; PyTorch's [C] is [C,1,1] here.
inline Tensor prelu(const Tensor& x, const Tensor& slope) {
  return binary(x, slope, ops::Binary::prelu);
}

// condition bool, a and b of one dtype, all broadcast together. The condition has no gradient.
GRAFT_API Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// x itself when it has that dtype. Integers among themselves wrap around; floating to integer
// truncates, saturates and takes NaN to 0; to bool: != 0. Between floating dtypes the gradient
// passes.
GRAFT_API Tensor cast(const Tensor& x, DType dtype);

// x in another memory format (x itself when it has it, or rank other than 4).
GRAFT_API Tensor to_format(const Tensor& x, MemoryFormat format);

}  // namespace graft::functional
