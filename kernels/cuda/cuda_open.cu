#include "graft/kernels/cuda/cuda_open.h"

#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/cublas/backend.h"
#include "graft/kernels/cuda/cudnn/backend.h"
#include "graft/kernels/cuda/gpu/cuda_driver.h"

namespace graft::cuda {

void open(Device device) {
  static Backend* backend = new Backend(gpu::cuda_driver());  // never destroyed, as the driver
  backend->device(device.index);
}

std::string describe() {
  gpu::Driver& driver = gpu::cuda_driver();
  int count = 0;
  if (const gpu::Status status = driver.device_count(count); !status.ok()) return str("in this build, but not usable here: ", status.message);
  if (count == 0) return "in this build, but this machine has no GPU";
  std::string text;
  for (int i = 0; i < count; ++i) {
    gpu::Properties p;
    if (!driver.properties(i, p).ok()) continue;
    text += str(text.empty() ? "" : "; ", "cuda:", i, " ", p.name, ", compute capability ", p.major, ".", p.minor, ", ", p.memory_bytes >> 30, " GiB");
  }
  return str(text, "; ", cudnn::describe_cudnn(), "; ", cublas::describe_cublas());
}

}  // namespace graft::cuda
