// EmulatedDevice: a fake GPU for one test, with the cuda kernels on it. For tests of the fakes and of what they can fail;
// others take a TestDevice (device_check.h).
#pragma once
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/emulator/fake_dnn.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft::test {

struct EmulatedDevice {
  // With cuDNN's fake when `dnn` is given.
  explicit EmulatedDevice(cuda::emulator::FakeDnnState* dnn = nullptr) {
    if (dnn) driver.provide_dnn(*dnn);
  }
  cuda::emulator::FakeDriver driver;
  cuda::Backend backend{driver};
  gpu::Device& device() { return backend.device(0); }
};

}  // namespace graft::test
