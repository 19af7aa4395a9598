// The registration calls of the reference kernels: one declaration a file, one call a file in
// register.cpp.
#pragma once
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

void register_reference_kernels(KernelSet& set);

namespace reference {
void register_conv(KernelSet& set);
void register_fused_conv(KernelSet& set);
void register_quantized_conv(KernelSet& set);
void register_batch_norm(KernelSet& set);
void register_linear(KernelSet& set);
void register_pool(KernelSet& set);
void register_unary(KernelSet& set);
void register_binary(KernelSet& set);
void register_concat(KernelSet& set);
void register_pad(KernelSet& set);
void register_softmax(KernelSet& set);
void register_loss(KernelSet& set);
void register_reduce(KernelSet& set);
void register_dropout(KernelSet& set);
void register_select(KernelSet& set);
void register_take(KernelSet& set);
void register_image_input(KernelSet& set);
void register_indexing(KernelSet& set);
void register_matmul(KernelSet& set);
void register_optimizer(KernelSet& set);
void register_ordering(KernelSet& set);
void register_normalize(KernelSet& set);
void register_resample(KernelSet& set);
void register_grid_sample(KernelSet& set);
void register_roi_align(KernelSet& set);

// fused_conv begins with the one and ends with the other.
void conv_forward(ExecContext& context, ops::ConvForwardArgs args);
void unary_forward(ExecContext& context, ops::UnaryForwardArgs args);
}  // namespace reference

}  // namespace graft
