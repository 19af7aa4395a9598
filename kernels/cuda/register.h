// The registration calls of the CUDA kernels: one declaration a file, one call a file in
// register.cpp.
#pragma once
#include "graft/kernels/ops/kernel_set.h"

namespace graft::cuda {

void register_cuda_kernels(KernelSet& set);

void register_batch_norm(KernelSet& set);
void register_conv(KernelSet& set);
void register_conversions(KernelSet& set);
void register_cublas(KernelSet& set);
void register_cudnn_conv(KernelSet& set);
void register_depthwise(KernelSet& set);
void register_dropout(KernelSet& set);
void register_elementwise(KernelSet& set);
void register_image_input(KernelSet& set);
void register_indexing(KernelSet& set);
void register_integer_reduce(KernelSet& set);
void register_integers(KernelSet& set);
void register_linear(KernelSet& set);
void register_loss(KernelSet& set);
void register_matmul(KernelSet& set);
void register_movement(KernelSet& set);
void register_normalize(KernelSet& set);
void register_optimizer(KernelSet& set);
void register_ordering(KernelSet& set);
void register_pool(KernelSet& set);
void register_reduce(KernelSet& set);
void register_resample(KernelSet& set);
void register_roi_align(KernelSet& set);
void register_sample(KernelSet& set);
void register_select(KernelSet& set);
void register_softmax(KernelSet& set);
void register_tensor_conv(KernelSet& set);
void register_tensor_linear(KernelSet& set);
void register_wgmma_conv(KernelSet& set);

}  // namespace graft::cuda
