// EmulatedDevice: a fake GPU for one test, with the cuda kernels on it. For tests of the fakes and
// of what they can fail; others take a TestDevice (device_check.h).
#pragma once
#include <set>
#include <string>

#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/emulator/fake_blas.h"
#include "graft/kernels/cuda/emulator/fake_dnn.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft::test {

// The fakes of libraries that a device has; null: not there. And which GPU it is: what needs 9.0 is
// slow to emulate.
struct Libraries {
  enum class Capability : unsigned char { ampere, hopper };  // 8.0, 9.0
  Libraries(cuda::emulator::FakeDnnState* dnn_ = nullptr,
            cuda::emulator::FakeBlasState* blas_ = nullptr,
            Capability capability_ = Capability::ampere)
      : dnn(dnn_), blas(blas_), capability(capability_) {}
  cuda::emulator::FakeDnnState* dnn;
  cuda::emulator::FakeBlasState* blas;
  Capability capability;
};

struct EmulatedDevice {
  explicit EmulatedDevice(const Libraries& libraries = {}) {
    if (libraries.dnn) driver.provide_dnn(*libraries.dnn);
    if (libraries.blas) driver.provide_blas(*libraries.blas);
    if (libraries.capability == Libraries::Capability::hopper) driver.set_capability(9, 0);
  }
  cuda::emulator::FakeDriver driver;
  cuda::Backend backend{driver};
  gpu::Device& device() { return backend.device(0); }
};

// expect_device_agrees on fake GPUs with these libraries. Gives the names of the kernels that ran
// on them.
std::set<std::string> expect_emulated_agrees(const OpCase& op, const Libraries& libraries = {});

}  // namespace graft::test
