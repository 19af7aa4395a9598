// The registration calls of the CPU engine: one declaration a file, one call a file in
// register.cpp.
#pragma once

namespace graft {

struct KernelSet;
namespace ops {
struct BatchNormKernels;
struct BinaryKernels;
struct ConvKernels;
struct FusedConvKernels;
struct LinearKernels;
struct MatmulKernels;
struct NormalizeKernels;
struct OptimizerKernels;
struct PoolKernels;
struct QuantizedConvKernels;
struct SoftmaxKernels;
struct TakeKernels;
struct UnaryKernels;
}  // namespace ops

void register_cpu_kernels(KernelSet& set);

namespace cpu {
void register_conv_forward(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv);
void register_depthwise_backward(ops::ConvKernels&);
void register_grouped(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv);
void register_conv_backward_data(ops::ConvKernels&);
void register_winograd_backward_weight(ops::ConvKernels&);
void register_conv_backward_weight(ops::ConvKernels&);
void register_quantized_conv(ops::QuantizedConvKernels&);
void register_linear(ops::LinearKernels&);
void register_batch_norm(ops::BatchNormKernels&);
void register_pool(ops::PoolKernels&);
void register_elementwise(ops::UnaryKernels&);
void register_binary(ops::BinaryKernels&);
void register_widened(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv);
void register_reordered(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv);
void register_matmul(ops::MatmulKernels&);
void register_permute(ops::TakeKernels&);
void register_rows(ops::SoftmaxKernels& softmax, ops::NormalizeKernels& normalize);
void register_optimizer(ops::OptimizerKernels&);
}  // namespace cpu

}  // namespace graft
