// Where a test of the CUDA kernels runs: on a fake GPU (test_cuda), or in builds with CUDA on this
// machine's (test_gpu); and the comparison of an OpCase with the reference there. The same tests
// and cases are compiled for both.
#pragma once
#include <functional>
#include <memory>

#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/cuda/gpu/device.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {

inline constexpr Device kCuda{DeviceType::cuda, 0};

// Whose convolutions and matrix products: graft's own, those of cuDNN and cuBLASLt first, or
// graft's own for compute capability 9.0 (a fake GPU is one then; a real one is what it is).
enum class Products : unsigned char { as_dispatched, own, libraries, wgmma };

// Device cuda:0 for one test. A fake GPU is made and goes with it; a real one stays open.
class TestDevice {
 public:
  explicit TestDevice(Products products = Products::as_dispatched);
  ~TestDevice();
  TestDevice(const TestDevice&) = delete;
  TestDevice& operator=(const TestDevice&) = delete;
  gpu::Device& device();
  void queue_only();  // a fake one's kernels compute nothing from here on: quick; a real one's do
                      // as ever
  static bool is_real();  // then it also has cuDNN where this machine has it, and bits may be
                          // compared between runs

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What the device's kernels gave, compared with the reference in double: f32, bf16 and f16; images
// in channels_last (their kernels know no other order); forward, and backward where the case has a
// gradient. On a real GPU: with cuDNN and without, and the same bits a second time.
void expect_device_agrees(const OpCase& op);
// The same on a device that `open` makes and that closes with what it returns.
void expect_device_agrees(const OpCase& op, const std::function<std::shared_ptr<void>()>& open);

}  // namespace graft::test

// Instantiates the check for a list of cases.
#define GRAFT_DEVICE_CASES(Op, cases)                                                            \
  class Op##OnDevice : public ::testing::TestWithParam<::graft::test::OpCase> {};                \
  TEST_P(Op##OnDevice, AgreesWithReference) { ::graft::test::expect_device_agrees(GetParam()); } \
  INSTANTIATE_TEST_SUITE_P(Op, Op##OnDevice, ::testing::ValuesIn(cases),                         \
                           ::graft::test::op_case_name)
