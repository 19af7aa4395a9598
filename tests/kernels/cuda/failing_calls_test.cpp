// A training step on the fake GPU with every call of the driver failing once.
#include <gtest/gtest.h>

#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/small_network.h"

namespace graft {
namespace {

using test::Batch;
using test::Sizes;
using test::Trainer;
using test::kCuda;

// With graft's own products and with those of cuDNN and cuBLASLt; plans are not kept on disk here.
struct CudaFailingCalls : ::testing::TestWithParam<bool> {
  CudaFailingCalls() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~CudaFailingCalls() override { unsetenv("GRAFT_CUDNN_CACHE"); }
  cuda::emulator::FakeDnnState dnn;
  cuda::emulator::FakeBlasState blas;
};
INSTANTIATE_TEST_SUITE_P(Products, CudaFailingCalls, ::testing::Bool(), [](const auto& which) { return which.param ? "libraries" : "own"; });

// One run of everything: opening, data, a step, a captured step, reading the loss.
void run_all(cuda::emulator::FakeDriver& driver) {
  cuda::Backend backend(driver);
  const Sizes sizes{2, 4, 4, 3};
  Trainer trainer(sizes);
  const Batch batch(sizes, kCuda, DType::f32);
  trainer.step(batch).item();
  for (const Tensor& p : trainer.network.parameters()) set_grad(p, {});
  Tensor loss;
  gpu::Graph graph(backend.device(0), [&] { loss = trainer.step(batch); });
  graph.launch();
  loss.item();
}

// Every call fails once, in both ways: an Error that names the device, nothing leaked, nothing hung, no later call of a lost
// device.
TEST_P(CudaFailingCalls, EachFailsOnce) {
  int64_t calls = 0;
  {
    cuda::emulator::FakeDriver driver;
    if (GetParam()) driver.provide_dnn(dnn), driver.provide_blas(blas);
    driver.skip_kernels();
    run_all(driver);
    calls = driver.calls();
    EXPECT_EQ(driver.live_objects(), 0);
  }
  ASSERT_GT(calls, 100);
  using Code = gpu::Status::Code;
  for (const Code code : {Code::out_of_memory, Code::failed, Code::lost}) {
    int64_t errors = 0;
    for (int64_t n = 0; n < calls; ++n) {
      cuda::emulator::FakeDriver driver;
      if (GetParam()) driver.provide_dnn(dnn), driver.provide_blas(blas);
      driver.skip_kernels();
      driver.fail_call(n, code);
      try {
        run_all(driver);
      } catch (const Error& error) {
        ++errors;
        EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
        EXPECT_TRUE(std::string_view(error.what()).starts_with("cuda:0: ")) << error.what();
      }
      ASSERT_EQ(dnn.live_plans, 0) << "call " << n;
      if (code != Code::lost) ASSERT_EQ(driver.live_objects(), 0) << "call " << n;
      else ASSERT_LE(driver.calls(), n + 2) << "a lost device is asked again";
    }
    // Allocations are tried again when the cache could help, and what is given back at the end is not worth an error.
    EXPECT_GT(errors, calls / 2);
  }
}

}  // namespace
}  // namespace graft
