// provide_kernels(): how the backend of a device that it has opened tells the registry its kernels.
#pragma once
#include "graft/core/tensor/device.h"
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

// Gives a device type its kernels, or takes them away (null).
GRAFT_API void provide_kernels(DeviceType type, const KernelSet* kernels);

}  // namespace graft
