// A device's kernels of all kinds: how the backend of a device that it has opened tells the
// registry what it has, and how a test looks at them.
#pragma once
#include "graft/core/tensor/device.h"
#include "graft/kernels/ops/kernel_set.h"

namespace graft {

// Gives a device type its kernels, or takes them away (null).
GRAFT_API void provide_kernels(DeviceType type, const KernelSet* kernels);
// bad_input when this build has none for the device.
GRAFT_API const KernelSet& all_kernels_for(Device device);

}  // namespace graft
