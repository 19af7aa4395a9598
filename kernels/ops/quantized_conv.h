// Convolution in 8-bit integers for inference plans: images of u8, weights of i8 with one scale an
// output channel, sums in i32 without saturation. No gradient. Results are the same bits on every
// instruction set.
#pragma once
#include <memory>

#include "graft/kernels/ops/fused_conv.h"

namespace graft::ops {

// What a u8 image stands for: value = scale * (q - zero), 0 <= zero <= 255. Padding is `zero`.
struct Quantization {
  float scale = 1;
  int32_t zero = 0;
  bool operator==(const Quantization&) const = default;
};

// q = clamp(round(x * (1 / scale)) + zero, 0, 255), ties to even; NaN gives 0.
struct QuantizeArgs {
  const Tensor& x;  // f32
  const Quantization& quantization;
  Tensor& y;  // u8 like x
  bool dtypes_fit() const { return are_of(DType::f32, x) && are_of(DType::u8, y); }
};

struct QuantizedConvAttributes {
  static constexpr std::string_view id = "quantized_conv";
  ConvAttributes conv{};
  FusedActivation activation = FusedActivation::none;  // no function
  Quantization x{}, residual{}, y{};                   // of those that are u8
};

struct QuantizedConvPackArgs {
  const Tensor& weight;  // i8 [K,C/groups,R,S]
  const QuantizedConvAttributes& attributes;
  std::shared_ptr<const PackedWeight>& packed;  // result; null when the kernels want none
  bool dtypes_fit() const { return are_of(DType::i8, weight); }
};

// y = act(float(sum of (x - x.zero) * weight) * multiplier[k] + bias[k] + residual): each step
// rounded to f32, then, for a y of u8, quantised.
struct QuantizedConvForwardArgs {
  const Tensor& x;             // u8 [N,C,H,W]
  const Tensor& weight;        // i8 [K,C/groups,R,S]
  const PackedWeight* packed;  // what pack made of this weight, or null
  const Tensor& multiplier;    // f32 [K]: x's scale times the weight's
  const Tensor& bias;          // f32 [K]
  const Tensor* residual;      // u8 or f32, like y; or null
  const QuantizedConvAttributes& attributes;
  Tensor& y;  // u8 or f32 [N,K,P,Q]
  bool dtypes_fit() const {
    return are_of(DType::u8, x) && are_of(DType::i8, weight) &&
           are_of(DType::f32, multiplier, bias) &&
           (are_of(DType::u8, residual) || are_of(DType::f32, residual)) &&
           (are_of(DType::u8, y) || are_of(DType::f32, y));
  }
};

struct QuantizedConvKernels {
  KernelList<QuantizeArgs> quantize{"quantize"};
  KernelList<QuantizedConvPackArgs> pack{"quantized_conv pack"};
  KernelList<QuantizedConvForwardArgs> forward{"quantized_conv forward"};
};

}  // namespace graft::ops
