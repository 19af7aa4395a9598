// The only file that names the backends. Order of the calls is order of preference.
#include "graft/kernels/registry.h"

#include <atomic>

#include "graft/core/tensor/sum.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/device_kernels.h"
#include "graft/kernels/devices.h"
#include "graft/kernels/reference/register.h"
#ifdef GRAFT_HAS_CUDA
#include "graft/kernels/cuda/cuda_open.h"
#endif

namespace graft {
namespace {

std::atomic<const KernelSet*> g_cuda_kernels{nullptr};

const KernelSet& device_kernels(Device device) {
  const KernelSet* kernels = device.type == DeviceType::cuda ? g_cuda_kernels.load() : nullptr;
  GRAFT_CHECK(kernels, "device ", device, " is not open, or not in this build");
  return *kernels;
}

}  // namespace

void provide_kernels(DeviceType type, const KernelSet* kernels) {
  GRAFT_CHECK(type == DeviceType::cuda, "the CPU has its kernels");
  g_cuda_kernels.store(kernels);
}

const KernelSet& kernels_for(Device device) {
  if (device.type != DeviceType::cpu) return device_kernels(device);
  static const KernelSet* cpu = [] {
    auto* set = new KernelSet;
    register_cpu_kernels(*set);
    register_reference_kernels(*set);
    set_cpu_sum([](const Tensor& a, const Tensor& b, Tensor& y) {
      kernels_for(Device{}).binary.forward(
          current_context(), {a, b, ops::BinaryAttributes{.function = ops::Binary::add}, y});
    });
    return set;
  }();
  return *cpu;
}

void open_device([[maybe_unused]] Device device, [[maybe_unused]] const DeviceOptions& options) {
  if (device.type == DeviceType::cpu) return;
#ifdef GRAFT_HAS_CUDA
  cuda::open(device, options.autotune);
#else
  fail(ErrorCode::resource, "device ", device,
       " cannot be used: CUDA is not in this build of graft");
#endif
}

bool cuda_is_usable() {
#ifdef GRAFT_HAS_CUDA
  return cuda::device_count() > 0;
#else
  return false;
#endif
}

std::string describe_cuda() {
#ifdef GRAFT_HAS_CUDA
  return cuda::describe();
#else
  return "not in this build";
#endif
}

}  // namespace graft
