// The way from a device to its kernels.
#pragma once
#include "graft/core/tensor/device.h"
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

// The kernels of a device. bad_input when this build has none for it.
GRAFT_API const KernelSet& kernels_for(Device device);
inline const KernelSet& kernels_for(const Tensor& tensor) { return kernels_for(tensor.device()); }

}  // namespace graft
