// The CUDA backend of this process, on the CUDA runtime. In builds with CUDA only; the registry
// calls it.
#pragma once
#include <string>

#include "graft/core/tensor/device.h"

namespace graft::cuda {

// Makes a device usable. Error(resource) naming the reason when it is not there. autotune: cuDNN's
// engines are measured from now on.
void open(Device device, bool autotune);
// How many GPUs this process can use; 0 without a driver.
int device_count();
// The GPUs of this machine in a line, or why there is none.
std::string describe();

}  // namespace graft::cuda
