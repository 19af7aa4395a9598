#include "graft/kernels/cuda/register.h"

#include "graft/core/base/environment.h"

namespace graft::cuda {

void register_cuda_kernels(KernelSet& set) {
  // Nothing has measured wgmma's convolutions beside cuDNN's: "first" before them, "off" not at
  // all, else behind.
  const std::string wgmma = environment("GRAFT_CUDA_WGMMA");
  register_batch_norm(set);
  register_conversions(set);
  register_depthwise(set);  // convolutions in the order of preference
  if (wgmma == "first") register_wgmma_conv(set);
  register_cudnn_conv(set);
  if (wgmma != "first" && wgmma != "off") register_wgmma_conv(set);
  register_tensor_conv(set);
  register_conv(set);
  register_dropout(set);
  register_elementwise(set);
  register_image_input(set);
  register_indexing(set);
  register_integer_reduce(set);
  register_integers(set);
  register_cublas(set);  // linear layers and matrix products too
  register_tensor_linear(set);
  register_linear(set);
  register_loss(set);
  register_matmul(set);
  register_movement(set);
  register_normalize(set);
  register_optimizer(set);
  register_ordering(set);
  register_pool(set);
  register_reduce(set);
  register_resample(set);
  register_roi_align(set);
  register_sample(set);
  register_select(set);
  register_softmax(set);
}

}  // namespace graft::cuda
