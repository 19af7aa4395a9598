// The only file that names the backends. Order of the calls is order of preference.
#include "graft/kernels/registry.h"

#include <atomic>

#include "graft/core/tensor/sum.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/device_kernels.h"
#include "graft/kernels/devices.h"
#include "graft/kernels/ops/binary.h"
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

const KernelSet& all_kernels_for(Device device) {
  if (device.type != DeviceType::cpu) return device_kernels(device);
  static const KernelSet* cpu = [] {
    auto* set = new KernelSet;
    register_cpu_kernels(*set);
    register_reference_kernels(*set);
    set_cpu_sum([](const Tensor& a, const Tensor& b, Tensor& y) {
      all_kernels_for(Device{}).binary.forward(
          current_context(), {a, b, ops::BinaryAttributes{.function = ops::Binary::add}, y});
    });
    return set;
  }();
  return *cpu;
}

template <class Kernels>
const Kernels& kernels_for(Device device) {
  return member_of(all_kernels_for(device), static_cast<const Kernels*>(nullptr));
}

// A line for each member of KernelSet.
#define GRAFT_KERNELS(Kernels, member)                                              \
  static const ops::Kernels& member_of(const KernelSet& all, const ops::Kernels*) { \
    return all.member;                                                              \
  }                                                                                 \
  template GRAFT_API const ops::Kernels& kernels_for(Device device);
GRAFT_KERNELS(ConvKernels, conv)
GRAFT_KERNELS(FusedConvKernels, fused_conv)
GRAFT_KERNELS(QuantizedConvKernels, quantized_conv)
GRAFT_KERNELS(BatchNormKernels, batch_norm)
GRAFT_KERNELS(LinearKernels, linear)
GRAFT_KERNELS(PoolKernels, pool)
GRAFT_KERNELS(UnaryKernels, unary)
GRAFT_KERNELS(BinaryKernels, binary)
GRAFT_KERNELS(ShapeChangeKernels, shape_change)
GRAFT_KERNELS(SoftmaxKernels, softmax)
GRAFT_KERNELS(LossKernels, loss)
GRAFT_KERNELS(ReduceKernels, reduce)
GRAFT_KERNELS(DropoutKernels, dropout)
GRAFT_KERNELS(SelectKernels, select)
GRAFT_KERNELS(TakeKernels, take)
GRAFT_KERNELS(IndexingKernels, indexing)
GRAFT_KERNELS(MatmulKernels, matmul)
GRAFT_KERNELS(OptimizerKernels, optimizer)
GRAFT_KERNELS(OrderingKernels, ordering)
GRAFT_KERNELS(NormalizeKernels, normalize)
GRAFT_KERNELS(ResampleKernels, resample)
GRAFT_KERNELS(SampleKernels, sample)
GRAFT_KERNELS(ImageInputKernels, image_input)
GRAFT_KERNELS(CtcKernels, ctc)
#undef GRAFT_KERNELS

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
