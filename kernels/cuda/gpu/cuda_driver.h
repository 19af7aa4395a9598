// The CUDA runtime behind the seam. In builds with CUDA only; it links the runtime's static
// library, which looks for the driver when it is first asked, so that the program starts on
// machines without one.
#pragma once
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::gpu {

// The process's one driver. No GPU, or none of NVIDIA's driver: device_count() says 0 or why.
Driver& cuda_driver();

}  // namespace graft::gpu
