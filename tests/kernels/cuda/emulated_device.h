// EmulatedDevice: a fake GPU for one test, with the cuda kernels on it, and the comparison of an OpCase with the reference.
#pragma once
#include <set>
#include <string>

#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/emulator/fake_blas.h"
#include "graft/kernels/cuda/emulator/fake_dnn.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {

inline constexpr Device kCuda{DeviceType::cuda, 0};

// The fakes of libraries that a device has; null: not there.
struct Libraries {
  Libraries(cuda::emulator::FakeDnnState* dnn_ = nullptr, cuda::emulator::FakeBlasState* blas_ = nullptr) : dnn(dnn_), blas(blas_) {}
  cuda::emulator::FakeDnnState* dnn;
  cuda::emulator::FakeBlasState* blas;
};

struct EmulatedDevice {
  explicit EmulatedDevice(const Libraries& libraries = {}) {
    if (libraries.dnn) driver.provide_dnn(*libraries.dnn);
    if (libraries.blas) driver.provide_blas(*libraries.blas);
  }
  cuda::emulator::FakeDriver driver;
  cuda::Backend backend{driver};
  gpu::Device& device() { return backend.device(0); }
};

// What the device's kernels gave, compared with the reference in double: f32, bf16 and f16; images in channels_last (their
// kernels know no other order); forward, and backward where the case has a gradient. `without`: a kernel that is left out.
// Gives the names of what ran on the device.
std::set<std::string> expect_device_agrees(const OpCase& op, const Libraries& libraries = {}, std::string_view without = {});

}  // namespace graft::test

// Instantiates the check for a list of cases.
#define GRAFT_DEVICE_CASES(Op, cases)                                                          \
  class Op##OnDevice : public ::testing::TestWithParam<::graft::test::OpCase> {};              \
  TEST_P(Op##OnDevice, AgreesWithReference) { ::graft::test::expect_device_agrees(GetParam()); } \
  INSTANTIATE_TEST_SUITE_P(Op, Op##OnDevice, ::testing::ValuesIn(cases), ::graft::test::op_case_name)
