// TestDevice as this machine's GPU, through the backend that the command uses.
#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/devices.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft::test {

struct TestDevice::State {
  ExecContext context{1};
  std::unique_ptr<ScopedExecContext> scope;
};

TestDevice::TestDevice(Products products) : state_(std::make_unique<State>()) {
  open_device(kCuda);
  if (products != Products::own && products != Products::wgmma)
    return;  // the libraries' come first wherever they are
  state_->context.set_kernel_filter(
      [](auto, auto kernel) { return kernel != "cudnn" && kernel != "cublaslt"; });
  state_->scope = std::make_unique<ScopedExecContext>(state_->context);
}

// Waits, so that what a kernel did wrong is said in the test that ran it.
TestDevice::~TestDevice() {
  try {
    device().synchronize();
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
}

gpu::Device& TestDevice::device() { return cuda::device_of(Tensor::empty({1}, {.device = kCuda})); }
void TestDevice::queue_only() {}
bool TestDevice::is_real() { return true; }

}  // namespace graft::test
