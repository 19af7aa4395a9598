#include "graft/kernels/cuda/register.h"

namespace graft::cuda {

void register_cuda_kernels(KernelSet& set) {
  register_batch_norm(set);
  register_conv(set);
  register_elementwise(set);
  register_linear(set);
  register_loss(set);
  register_pool(set);
}

}  // namespace graft::cuda
