#include "graft/kernels/cpu/register.h"

namespace graft {

void register_cpu_kernels(KernelSet& set) {
  cpu::register_conv_forward(set);
  cpu::register_depthwise_backward(set);
  cpu::register_conv_backward_data(set);
  cpu::register_winograd_backward_weight(set);
  cpu::register_conv_backward_weight(set);
  cpu::register_quantized_conv(set);
  cpu::register_linear(set);
  cpu::register_batch_norm(set);
  cpu::register_pool(set);
  cpu::register_elementwise(set);
  cpu::register_binary(set);
  cpu::register_widened(set);
  cpu::register_reordered(set);
  cpu::register_matmul(set);
  cpu::register_optimizer(set);
}

}  // namespace graft
