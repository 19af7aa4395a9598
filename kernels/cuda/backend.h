// cuda::Backend: one driver's devices as graft knows them: memory and copies for tensors, kernels
// for the operations.
#pragma once
#include <map>
#include <memory>

#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/cuda/cublas/product_cache.h"
#include "graft/kernels/cuda/cudnn/plan_cache.h"
#include "graft/kernels/cuda/gpu/device.h"
#include "graft/kernels/cuda/host_lists.h"
#include "graft/kernels/device_kernels.h"

namespace graft::cuda {

// Devices are opened when they are first asked for. While it lives, core and the registry know it
// as "cuda"; tensors on its devices must be gone before it. One at a time.
class Backend final : public DeviceBackend {
 public:
  explicit Backend(gpu::Driver& driver);
  ~Backend() override;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  int device_count();
  gpu::Device& device(int index);
  // cuDNN's plans for a device; looked for when they are first asked for.
  cudnn::PlanCache& plans(int index);
  // cuBLASLt's products for a device, likewise.
  cublas::ProductCache& products(int index);
  // What operations brought from the host to a device.
  HostLists& lists(int index);

  Allocator& allocator(graft::Device id) override;
  void upload(graft::Device id, void* to, const void* from, int64_t bytes) override;
  void download(graft::Device id, void* to, const void* from, int64_t bytes) override;
  void copy(graft::Device id, void* to, const void* from, int64_t bytes) override;
  void wait(graft::Device id) override;
  std::unique_ptr<RecordedWork> record(graft::Device id, FunctionRef<void()> work) override;
  void fill(Tensor& y, double value) override;
  void cast(const Tensor& x, Tensor& y) override;
  void reformat(const Tensor& x, Tensor& y) override;
  void add(const Tensor& a, const Tensor& b, Tensor& y) override;

 private:
  gpu::Driver& driver_;
  KernelSet kernels_;
  std::map<int, std::unique_ptr<gpu::Device>> devices_;
  std::map<int, std::unique_ptr<cudnn::PlanCache>> plans_;  // these go before the devices
  std::map<int, std::unique_ptr<cublas::ProductCache>> products_;
  std::map<int, std::unique_ptr<HostLists>> lists_;
};

// The device that a tensor lies on.
gpu::Device& device_of(const Tensor& tensor);
cudnn::PlanCache& plans_of(const Tensor& tensor);
cublas::ProductCache& products_of(const Tensor& tensor);
HostLists& lists_of(const Tensor& tensor);

}  // namespace graft::cuda
