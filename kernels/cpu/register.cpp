#include "graft/kernels/cpu/register.h"

namespace graft {

void register_cpu_kernels(KernelSet& set) {
  cpu::register_conv_forward(set);
  cpu::register_conv_backward_data(set);
  cpu::register_conv_backward_weight(set);
}

}  // namespace graft
