// Conversions, and the kernels named "cpu_widened": convolution of bfloat16 images by the float
// kernels.
#include "graft/kernels/cpu/widened.h"

#include <algorithm>
#include <bit>

#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"

namespace graft::cpu {
namespace {

constexpr int64_t kConverted = 1 << 15;  // elements of a job

template <class F>
void in_converted_chunks(ExecContext& context, int64_t count, F&& f) {
  context.parallel_for(ceil_div(count, kConverted), [&](int64_t i) {
    f(i * kConverted, std::min(count, (i + 1) * kConverted));
  });
}

// The best kernel for the float arguments, whatever a filter leaves of the list: the choice was
// made a level above.
template <class Args>
void run_floats(ExecContext& context, const KernelList<Args>& list, Args args) {
  for (const Kernel<Args>& kernel : list.candidates()) {
    if (kernel.declines(context, args)) continue;
    kernel.run(context, args);
    return;
  }
}

const char* declines_dtypes(const Tensor& x, const Tensor& y) {
  if (x.dtype() != DType::bf16 || y.dtype() != DType::bf16) return "only bf16";
  return x.format() == MemoryFormat::channels_last || x.rank() != 4
             ? nullptr
             : "memory order is not channels_last";
}

const char* declines_conv(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (args.weight.dtype() != DType::f32 || (args.bias && args.bias->dtype() != DType::f32))
    return "only f32 weights";
  return declines_dtypes(args.x, args.y);
}
void conv(ExecContext& context, ops::ConvForwardArgs& args) {
  Tensor y = wide_like(args.y);
  run_floats(context, kernels_for<ops::ConvKernels>(y).forward,
             {widened(context, args.x), args.weight, args.bias, args.attributes, y});
  round_into(context, y, args.y);
}

// Gradients of weights are f32 beside bfloat16 images too.
const char* declines_conv_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  return args.weight.dtype() != DType::f32 ? "only f32 weights" : declines_dtypes(args.dx, args.dy);
}
void conv_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  Tensor dx = wide_like(args.dx);
  run_floats(context, kernels_for<ops::ConvKernels>(dx).backward_data,
             {widened(context, args.dy), args.weight, args.attributes, dx});
  round_into(context, dx, args.dx);
}

const char* declines_conv_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if ((args.dweight && args.dweight->dtype() != DType::f32) ||
      (args.dbias && args.dbias->dtype() != DType::f32))
    return "only f32 gradients";
  return declines_dtypes(args.dweight ? args.x : args.dy, args.dy);
}
void conv_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  const Tensor dy = widened(context, args.dy);
  run_floats(context, kernels_for<ops::ConvKernels>(dy).backward_weight,
             {args.dweight ? widened(context, args.x) : dy, dy, args.attributes, args.dweight,
              args.dbias});
}

const char* declines_fused_conv(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  if (args.weight.dtype() != DType::f32 || (args.bias && args.bias->dtype() != DType::f32))
    return "only f32 weights";
  if (args.residual && args.residual->dtype() != DType::bf16)
    return "the residual has another dtype";
  return declines_dtypes(args.x, args.y);
}
void fused_conv(ExecContext& context, ops::FusedConvForwardArgs& args) {
  Tensor y = wide_like(args.y), residual;
  if (args.residual) residual = widened(context, *args.residual);
  run_floats(context, kernels_for<ops::FusedConvKernels>(y).forward,
             {widened(context, args.x), args.weight, args.packed, args.bias,
              args.residual ? &residual : nullptr, args.attributes, y});
  round_into(context, y, args.y);
}

}  // namespace

Tensor wide_like(const Tensor& t) {
  TensorOptions options = t.options();
  options.dtype = DType::f32;
  return Tensor::empty(t.shape(), options);
}

Tensor widened(ExecContext& context, const Tensor& t) {
  Tensor wide = wide_like(t);
  const bfloat16* in = t.data<bfloat16>();
  float* out = wide.mutable_data<float>();
  in_converted_chunks(context, t.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = std::bit_cast<float>(static_cast<uint32_t>(in[i].bits) << 16);
  });
  return wide;
}

void round_into(ExecContext& context, const Tensor& wide, Tensor& t) {
  const float* in = wide.data<float>();
  bfloat16* out = t.mutable_data<bfloat16>();
  in_converted_chunks(context, t.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t u = std::bit_cast<uint32_t>(in[i]);
      const uint32_t rounded = (u + 0x7fffU + ((u >> 16) & 1U)) >> 16;
      out[i].bits =
          static_cast<uint16_t>((u & 0x7fffffffU) > 0x7f800000U ? (u >> 16) | 0x40U : rounded);
    }
  });
}

void register_widened(ops::ConvKernels& plain, ops::FusedConvKernels& fused) {
  plain.forward.add({"cpu_widened", declines_conv, conv});
  plain.backward_data.add({"cpu_widened", declines_conv_data, conv_data});
  plain.backward_weight.add({"cpu_widened", declines_conv_weight, conv_weight});
  fused.forward.add({"cpu_widened", declines_fused_conv, fused_conv});
}

}  // namespace graft::cpu
