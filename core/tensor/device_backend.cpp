#include "graft/core/tensor/device_backend.h"

#include <atomic>

#include "graft/core/base/error.h"

namespace graft {
namespace {

std::atomic<DeviceBackend*> g_cuda{nullptr};

}  // namespace

DeviceBackend& device_backend(Device device) {
  DeviceBackend* backend = device.type == DeviceType::cuda ? g_cuda.load() : nullptr;
  GRAFT_CHECK(backend, "device ", device, " is not open, or not in this build");
  return *backend;
}

void set_device_backend(DeviceType type, DeviceBackend* backend) {
  GRAFT_CHECK(type == DeviceType::cuda, "the CPU needs no backend");
  g_cuda.store(backend);
}

}  // namespace graft
