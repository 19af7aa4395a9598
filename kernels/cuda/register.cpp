#include "graft/kernels/cuda/register.h"

namespace graft::cuda {

void register_cuda_kernels(KernelSet& set) {
  register_batch_norm(set);
  register_cudnn_conv(set);  // before graft's own: the order is the preference
  register_conv(set);
  register_elementwise(set);
  register_linear(set);
  register_loss(set);
  register_pool(set);
}

}  // namespace graft::cuda
