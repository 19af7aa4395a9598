// Devices other than the CPU: what this build and this machine have, and opening one so that
// tensors can be put on it.
#pragma once
#include <string>

#include "graft/core/tensor/device.h"

namespace graft {

struct DeviceOptions {
  // CUDA: of each convolution's cuDNN engines the fastest is taken, measured when the convolution
  // is first met (docs/cuda.md).
  bool autotune = false;
};
// The CPU is always open. Error(resource) in one sentence when the device is not in this build or
// cannot be used here. Options hold for the operations that the device meets from now on.
GRAFT_API void open_device(Device device, const DeviceOptions& options = {});
// Whether this build has CUDA and this machine a device for it.
GRAFT_API bool cuda_is_usable();
// The CUDA devices in a line; "not in this build"; or why none can be used.
GRAFT_API std::string describe_cuda();

}  // namespace graft
