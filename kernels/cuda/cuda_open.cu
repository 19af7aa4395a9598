#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/cublas/backend.h"
#include "graft/kernels/cuda/cuda_open.h"
#include "graft/kernels/cuda/cudnn/backend.h"
#include "graft/kernels/cuda/gpu/cuda_driver.h"

namespace graft::cuda {
namespace {

// Why there is no device; "" when there are some.
std::string why_none(int& count) {
  const gpu::Status status = gpu::cuda_driver().device_count(count);
  if (!status.ok()) return status.message;
  return count == 0 ? "this machine has no GPU" : "";
}

}  // namespace

int device_count() {
  int count = 0;
  return why_none(count).empty() ? count : 0;
}

void open(Device device, bool autotune) {
  int count = 0;
  const std::string reason = why_none(count);
  if (!reason.empty()) fail(ErrorCode::resource, "device ", device, " cannot be used: ", reason);
  if (device.index >= count)
    fail(ErrorCode::resource, "device ", device,
         " cannot be used: this machine has CUDA devices up to cuda:", count - 1);
  static Backend* backend = new Backend(gpu::cuda_driver());  // never destroyed, as the driver
  backend->device(device.index);
  if (autotune) backend->plans(device.index).set_candidates(cudnn::PlanCacheOptions::kAutotune);
}

std::string describe() {
  gpu::Driver& driver = gpu::cuda_driver();
  int count = 0;
  if (const std::string reason = why_none(count); !reason.empty())
    return "in this build, but not usable here: " + reason;
  std::string text;
  for (int i = 0; i < count; ++i) {
    gpu::Properties p;
    if (!driver.properties(i, p).ok()) continue;
    text += str(text.empty() ? "" : "; ", "cuda:", i, " ", p.name, ", compute capability ", p.major,
                ".", p.minor, ", ", p.memory_bytes >> 30, " GiB");
  }
  return str(text, "; ", cudnn::describe_cudnn(), "; ", cublas::describe_cublas());
}

}  // namespace graft::cuda
