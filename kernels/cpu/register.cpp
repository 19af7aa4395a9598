#include "graft/kernels/cpu/register.h"

namespace graft {

void register_cpu_kernels(KernelSet& set) {
  cpu::register_conv_forward(set);
}

}  // namespace graft
