#include "graft/kernels/reference/register.h"

namespace graft {

void register_reference_kernels(KernelSet& set) {
  reference::register_conv(set);
  reference::register_unary(set);
}

}  // namespace graft
