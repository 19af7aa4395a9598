// The registration calls of the reference kernels: one declaration a file, one call a file in
// register.cpp.
#pragma once

namespace graft {

class ExecContext;
struct KernelSet;
namespace ops {
struct ConvForwardArgs;
struct UnaryForwardArgs;
struct BatchNormKernels;
struct BinaryKernels;
struct ConvKernels;
struct CtcKernels;
struct DropoutKernels;
struct FusedConvKernels;
struct ImageInputKernels;
struct IndexingKernels;
struct LinearKernels;
struct LossKernels;
struct MatmulKernels;
struct NormalizeKernels;
struct OptimizerKernels;
struct OrderingKernels;
struct PoolKernels;
struct QuantizedConvKernels;
struct ReduceKernels;
struct ResampleKernels;
struct SampleKernels;
struct SelectKernels;
struct ShapeChangeKernels;
struct SoftmaxKernels;
struct TakeKernels;
struct UnaryKernels;
}  // namespace ops

void register_reference_kernels(KernelSet& set);

namespace reference {
void register_conv(ops::ConvKernels&);
void register_fused_conv(ops::FusedConvKernels&);
void register_quantized_conv(ops::QuantizedConvKernels&);
void register_batch_norm(ops::BatchNormKernels&);
void register_linear(ops::LinearKernels&);
void register_pool(ops::PoolKernels&);
void register_unary(ops::UnaryKernels&);
void register_binary(ops::BinaryKernels&);
void register_concat(ops::ShapeChangeKernels&);
void register_pad(ops::ShapeChangeKernels&);
void register_softmax(ops::SoftmaxKernels&);
void register_loss(ops::LossKernels&);
void register_reduce(ops::ReduceKernels&);
void register_dropout(ops::DropoutKernels&);
void register_select(ops::SelectKernels&);
void register_take(ops::TakeKernels&);
void register_image_input(ops::ImageInputKernels&);
void register_indexing(ops::IndexingKernels&);
void register_matmul(ops::MatmulKernels&);
void register_optimizer(ops::OptimizerKernels&);
void register_ordering(ops::OrderingKernels&);
void register_normalize(ops::NormalizeKernels&);
void register_resample(ops::ResampleKernels&);
void register_grid_sample(ops::SampleKernels&);
void register_roi_align(ops::SampleKernels&);
void register_ctc(ops::CtcKernels&);

// fused_conv begins with the one and ends with the other.
void conv_forward(ExecContext& context, ops::ConvForwardArgs args);
void unary_forward(ExecContext& context, ops::UnaryForwardArgs args);
}  // namespace reference

}  // namespace graft
