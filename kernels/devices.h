// Devices other than the CPU: what this build and this machine have, and opening one so that tensors can be put on it.
#pragma once
#include <string>

#include "graft/core/tensor/device.h"

namespace graft {

// The CPU is always open. Error(resource) in one sentence when the device is not in this build or cannot be used here.
GRAFT_API void open_device(Device device);
// Whether this build has CUDA and this machine a device for it.
GRAFT_API bool cuda_is_usable();
// The CUDA devices in a line; "not in this build"; or why none can be used.
GRAFT_API std::string describe_cuda();

}  // namespace graft
