// The registration calls of the CPU engine: one declaration a file, one call a file in
// register.cpp.
#pragma once
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

void register_cpu_kernels(KernelSet& set);

namespace cpu {
void register_conv_forward(KernelSet& set);
void register_depthwise_backward(KernelSet& set);
void register_conv_backward_data(KernelSet& set);
void register_winograd_backward_weight(KernelSet& set);
void register_conv_backward_weight(KernelSet& set);
void register_quantized_conv(KernelSet& set);
void register_linear(KernelSet& set);
void register_batch_norm(KernelSet& set);
void register_pool(KernelSet& set);
void register_elementwise(KernelSet& set);
void register_binary(KernelSet& set);
void register_widened(KernelSet& set);
void register_reordered(KernelSet& set);
void register_matmul(KernelSet& set);
void register_optimizer(KernelSet& set);
}  // namespace cpu

}  // namespace graft
