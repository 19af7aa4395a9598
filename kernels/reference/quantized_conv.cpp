// The 8-bit convolution by its definition.
#include "graft/kernels/ops/quantized_conv.h"

#include <algorithm>
#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

uint8_t quantized(float value, const ops::Quantization& q) {
  const float steps = std::nearbyint(value * (1.0F / q.scale));
  if (std::isnan(steps)) return 0;
  return static_cast<uint8_t>(
      std::clamp(steps, static_cast<float>(-q.zero), static_cast<float>(255 - q.zero)) +
      static_cast<float>(q.zero));
}

void quantize(ExecContext&, ops::QuantizeArgs& args) {
  const float* x = args.x.data<float>();
  uint8_t* y = args.y.mutable_data<uint8_t>();
  for (int64_t i = 0; i < args.x.numel(); ++i) y[i] = quantized(x[i], args.quantization);
}

void pack_quantized(ExecContext&, ops::QuantizedConvPackArgs& args) { args.packed = nullptr; }

float residual_at(const Tensor& residual, const ops::Quantization& q, int64_t at) {
  if (residual.dtype() == DType::f32) return residual.data<float>()[at];
  return static_cast<float>(static_cast<int32_t>(residual.data<uint8_t>()[at]) - q.zero) * q.scale;
}

void forward_quantized(ExecContext& context, ops::QuantizedConvForwardArgs& args) {
  // The sums by the reference convolution, in integers.
  Tensor x = Tensor::empty(args.x.shape(), {.dtype = DType::i32, .format = args.x.format()}),
         sums = Tensor::empty(args.y.shape(), x.options());
  for (int64_t i = 0; i < x.numel(); ++i)
    x.mutable_data<int32_t>()[i] =
        static_cast<int32_t>(args.x.data<uint8_t>()[i]) - args.attributes.x.zero;
  conv_forward(context, {x, args.weight.to(DType::i32), nullptr, args.attributes.conv, sums});
  const Strides5 at = strides5(args.y);
  const Extents5 e = extents5(args.y.shape());
  const int32_t* sum = sums.data<int32_t>();
  for (int64_t n = 0; n < e.n; ++n)
    for (int64_t k = 0; k < e.c; ++k)
      for (int64_t h = 0; h < e.h; ++h)
        for (int64_t w = 0; w < e.w; ++w) {
          const int64_t i = at(n, k, 0, h, w);
          float value = static_cast<float>(sum[i]) * args.multiplier.data<float>()[k];
          value += args.bias.data<float>()[k];
          if (args.residual) value += residual_at(*args.residual, args.attributes.residual, i);
          if (args.attributes.activation != ops::FusedActivation::none && value < 0) value = 0;
          if (args.attributes.activation == ops::FusedActivation::relu6 && value > 6) value = 6;
          if (args.y.dtype() == DType::f32)
            args.y.mutable_data<float>()[i] = value;
          else
            args.y.mutable_data<uint8_t>()[i] = quantized(value, args.attributes.y);
        }
}

const char* declines_axes(const ExecContext&, const ops::QuantizedConvForwardArgs& args) {
  return args.x.rank() == 4 ? nullptr : "only two spatial axes";
}

}  // namespace

void register_quantized_conv(ops::QuantizedConvKernels& kernels) {
  kernels.quantize.add({"reference", takes_all, quantize});
  kernels.pack.add({"reference", takes_all, pack_quantized});
  kernels.forward.add({"reference", declines_axes, forward_quantized});
}

}  // namespace graft::reference
