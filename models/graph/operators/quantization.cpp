// Quantised tensors, read as numbers: (x - zero point) * scale. Formulas as in ONNX's Operators.md.
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"
#include "graft/models/graph/element_type.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

using functional::add;
using functional::cast;
using functional::div;
using functional::mul;
using functional::sub;

// A scale or zero point of one number, one an element of `axis`, or one a block of that axis, lined
// up with x.
Tensor quantization_along(const Tensor& t, const Tensor& x, int64_t axis, int64_t block) {
  if (t.numel() == 1) return functional::reshape(t, Shape());
  const int at = at_axis(axis, x.rank());
  if (block > 0) {
    GRAFT_CHECK(x.numel() > 0, "blocks of an empty tensor ",
                x.shape());  // whose axis may be longer than any list
    std::vector<int64_t> blocks;
    for (int64_t i = 0; i < x.shape()[at]; ++i) blocks.push_back(i / block);
    return functional::gather(t, tensor_of(blocks), at);
  }
  GRAFT_CHECK(t.rank() == 1 && t.numel() == x.shape()[at], "a scale or zero point ", t.shape(),
              " for axis ", at, " of ", x.shape());
  std::vector<int64_t> extents(static_cast<size_t>(x.rank()), 1);
  extents[static_cast<size_t>(at)] = t.numel();
  return functional::reshape(t, Shape(extents));
}

// round(x) + zero point, saturated, in the zero point's type.
Tensor quantized(const Tensor& x, const Tensor& zero_point, DType dtype) {
  const Tensor rounded = functional::unary(x, ops::Unary::round);
  return cast(zero_point.defined() ? add(rounded, cast(zero_point, rounded.dtype())) : rounded,
              dtype);
}

OpOutputs dequantize_op(const OpCall& call) {
  const Tensor &x = call.in(0), &scale = call.in(1);
  const int64_t axis = call.integer("axis", 1), block = call.integer("block_size", 0);
  Tensor wide = cast(x, DType::f32);
  if (call.has(2))
    wide = sub(wide, cast(quantization_along(call.in(2), x, axis, block), DType::f32));
  DType dtype = scale.dtype();
  if (call.integer("output_dtype", 0) != 0)
    dtype = dtype_of_element(static_cast<io::onnx::ElementType>(call.integer("output_dtype")));
  return {cast(mul(wide, cast(quantization_along(scale, x, axis, block), DType::f32)), dtype)};
}

OpOutputs quantize_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = call.integer("axis", 1), block = call.integer("block_size", 0);
  DType dtype = call.has(2) ? call.in(2).dtype() : DType::u8;
  if (!call.has(2) && call.integer("output_dtype", 0) != 0)
    dtype = dtype_of_element(static_cast<io::onnx::ElementType>(call.integer("output_dtype")));
  GRAFT_CHECK(dtype == DType::u8 || dtype == DType::i8, "a result of ", name_of(dtype),
              " is not supported");
  const Tensor zero = call.has(2) ? quantization_along(call.in(2), x, axis, block) : Tensor();
  return {quantized(
      div(cast(x, DType::f32), cast(quantization_along(call.in(1), x, axis, block), DType::f32)),
      zero, dtype)};
}

OpOutputs dynamic_quantize_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const Tensor zero = Tensor::scalar(0), most = Tensor::scalar(255);
  const Tensor low =
                   functional::minimum(zero, functional::reduce(x, {.function = ops::Reduce::min})),
               high =
                   functional::maximum(zero, functional::reduce(x, {.function = ops::Reduce::max}));
  const Tensor scale = div(sub(high, low), most);
  const Tensor zero_point =
      cast(functional::clip(functional::unary(div(functional::neg(low), scale), ops::Unary::round),
                            0, 255),
           DType::u8);
  return {quantized(div(x, scale), zero_point, DType::u8), scale, zero_point};
}

// a - zero point in int32; a vector of zero points is lined up with `axis`.
Tensor centred(const OpCall& call, size_t tensor, size_t zero_point, int axis) {
  const Tensor wide = cast(call.in(tensor), DType::i32);
  if (!call.has(zero_point)) return wide;
  Tensor zero = cast(call.in(zero_point), DType::i32);
  if (zero.numel() == 1)
    zero = functional::reshape(zero, Shape());
  else if (zero.rank() == 1)
    zero = quantization_along(zero, wide, axis, 0);
  return sub(wide, zero);
}

OpOutputs matmul_integer(const OpCall& call) {
  return {functional::matmul(centred(call, 0, 2, -2), centred(call, 1, 3, -1))};
}

OpOutputs conv_integer(const OpCall& call) {
  return {functional::conv(centred(call, 0, 2, 1), centred(call, 1, 3, 0), Tensor(),
                           read_convolution(call, call.in(0), call.in(1)))};
}

OpOutputs quantized_matmul(const OpCall& call) {
  const Tensor product =
      cast(functional::matmul(centred(call, 0, 2, -2), centred(call, 3, 5, -1)), DType::f32);
  const auto scale = [&](size_t input, int axis) {
    return cast(quantization_along(call.in(input), product, axis, 0), DType::f32);
  };
  const Tensor factor = div(mul(scale(1, -2), scale(4, -1)), scale(6, -1));
  return {quantized(mul(product, factor), call.in(7), call.in(7).dtype())};
}

OpOutputs quantized_conv(const OpCall& call) {
  const Tensor sums =
      functional::conv(centred(call, 0, 2, 1), centred(call, 3, 5, 0), call.optional(8),
                       read_convolution(call, call.in(0), call.in(3)));
  const Tensor wide = cast(sums, DType::f32);
  const auto scale = [&](size_t input) { return quantization_along(call.in(input), wide, 1, 0); };
  return {
      quantized(mul(wide, div(mul(scale(1), scale(4)), scale(6))), call.in(7), call.in(7).dtype())};
}

constexpr Operator kQuantization[] = {
    {"DequantizeLinear", dequantize_op, "axis block_size output_dtype"},
    {"QuantizeLinear", quantize_op, "axis block_size output_dtype precision saturate"},
    {"DynamicQuantizeLinear", dynamic_quantize_op, ""},
    {"MatMulInteger", matmul_integer, ""},
    {"ConvInteger", conv_integer, kConvolutionAttributes},
    {"QLinearMatMul", quantized_matmul, ""},
    {"QLinearConv", quantized_conv, kConvolutionAttributes},
};

}  // namespace

OperatorTable quantization_operators() { return kQuantization; }

}  // namespace graft::models::graph
