#include "graft/kernels/cuda/backend.h"

#include "graft/core/base/environment.h"
#include "graft/core/base/log.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/cuda/gpu/pool.h"
#include "graft/kernels/cuda/gpu/staging.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {

Backend::Backend(gpu::Driver& driver) : driver_(driver) {
  register_cuda_kernels(kernels_);
  set_device_backend(DeviceType::cuda, this);
  provide_kernels(DeviceType::cuda, &kernels_);
}

Backend::~Backend() {
  provide_kernels(DeviceType::cuda, nullptr);
  set_device_backend(DeviceType::cuda, nullptr);
}

int Backend::device_count() {
  int count = 0;
  const gpu::Status status = driver_.device_count(count);
  return status.ok() ? count : 0;
}

gpu::Device& Backend::device(int index) {
  std::unique_ptr<gpu::Device>& device = devices_[index];
  if (!device) device = std::make_unique<gpu::Device>(driver_, index);
  return *device;
}

cudnn::PlanCache& Backend::plans(int index) {
  std::unique_ptr<cudnn::PlanCache>& plans = plans_[index];
  if (!plans)
    plans = std::make_unique<cudnn::PlanCache>(device(index),
                                               cudnn::PlanCacheOptions::from_environment());
  return *plans;
}

cublas::ProductCache& Backend::products(int index) {
  std::unique_ptr<cublas::ProductCache>& products = products_[index];
  if (!products)
    products = std::make_unique<cublas::ProductCache>(
        device(index), cublas::ProductCache::rules_from_environment());
  return *products;
}

HostLists& Backend::lists(int index) {
  std::unique_ptr<HostLists>& lists = lists_[index];
  if (!lists) lists = std::make_unique<HostLists>(device(index));
  return *lists;
}

Allocator& Backend::allocator(graft::Device id) { return device(id.index).pool(); }

void Backend::upload(graft::Device id, void* to, const void* from, int64_t bytes) {
  device(id.index).staging().upload(to, from, bytes);
}

void Backend::download(graft::Device id, void* to, const void* from, int64_t bytes) {
  gpu::Device& gpu = device(id.index);
  GRAFT_CHECK(!gpu.capturing(), id,
              ": a result is read while a graph is captured; it has none yet");
  gpu.copy(to, from, bytes, gpu::CopyKind::to_host);
  gpu.synchronize();
}

void Backend::copy(graft::Device id, void* to, const void* from, int64_t bytes) {
  device(id.index).copy(to, from, bytes, gpu::CopyKind::on_device);
}

void Backend::wait(graft::Device id) { device(id.index).synchronize(); }

namespace {

class CapturedWork final : public RecordedWork {
 public:
  CapturedWork(gpu::Device& device, FunctionRef<void()> work) : graph_(device, work) {}
  void run() override { graph_.launch(); }

 private:
  gpu::Graph graph_;
};

}  // namespace

std::unique_ptr<RecordedWork> Backend::record(graft::Device id, FunctionRef<void()> work) {
  gpu::Device& gpu = device(id.index);
  if (environment("GRAFT_CUDA_GRAPH") == "0" || gpu.waits_each()) return nullptr;
  try {
    return std::make_unique<CapturedWork>(gpu, work);
  } catch (const Error& error) {
    if (gpu.lost()) throw;
    log("graph", "not recorded: ", error.what());
    return nullptr;
  }
}

gpu::Device& device_of(const Tensor& tensor) {
  return static_cast<Backend&>(device_backend(tensor.device())).device(tensor.device().index);
}

cudnn::PlanCache& plans_of(const Tensor& tensor) {
  return static_cast<Backend&>(device_backend(tensor.device())).plans(tensor.device().index);
}

cublas::ProductCache& products_of(const Tensor& tensor) {
  return static_cast<Backend&>(device_backend(tensor.device())).products(tensor.device().index);
}

HostLists& lists_of(const Tensor& tensor) {
  return static_cast<Backend&>(device_backend(tensor.device())).lists(tensor.device().index);
}

}  // namespace graft::cuda
