#include "graft/kernels/cpu/register.h"

#include "graft/kernels/ops/kernel_set.h"

namespace graft {

void register_cpu_kernels(KernelSet& set) {
  cpu::register_grouped(set.conv, set.fused_conv);
  cpu::register_conv_forward(set.conv, set.fused_conv);
  cpu::register_depthwise_backward(set.conv);
  cpu::register_conv_backward_data(set.conv);
  cpu::register_winograd_backward_weight(set.conv);
  cpu::register_conv_backward_weight(set.conv);
  cpu::register_quantized_conv(set.quantized_conv);
  cpu::register_linear(set.linear);
  cpu::register_batch_norm(set.batch_norm);
  cpu::register_pool(set.pool);
  cpu::register_elementwise(set.unary);
  cpu::register_binary(set.binary);
  cpu::register_widened(set.conv, set.fused_conv);
  cpu::register_reordered(set.conv, set.fused_conv);
  cpu::register_matmul(set.matmul);
  cpu::register_permute(set.take);
  cpu::register_rows(set.softmax, set.normalize);
  cpu::register_optimizer(set.optimizer);
}

}  // namespace graft
