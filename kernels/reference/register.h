// The registration calls of the reference kernels: one declaration a file, one call a file in register.cpp.
#pragma once
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

void register_reference_kernels(KernelSet& set);

namespace reference {
void register_conv(KernelSet& set);
void register_unary(KernelSet& set);
}  // namespace reference

}  // namespace graft
