// Repeated training steps on the fake GPU with every call of the driver failing once.
#include <gtest/gtest.h>

#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/repeated_step.h"

namespace graft::train {
namespace {

// Opening, a step as it is, a recorded one, a repeat; results are read, though nothing is computed.
int64_t run_steps(cuda::emulator::FakeDriver& driver) {
  cuda::Backend backend(driver);
  const auto network = small_network();
  network->to(test::kCuda);
  const auto optimizer = make_optimizer(network->parameters(), {.loss_scale = 0});
  RepeatedStep step(*network, 0, *optimizer);
  const Batch batch{Tensor::zeros({4, 3, 8, 8}, {.format = MemoryFormat::channels_last}), Tensor::zeros({4}, {.dtype = DType::i64}), {}};
  const StepOptions options{.activations = DType::f16};
  for (int i = 0; i < 3; ++i) {
    GRAFT_ASSERT(step.takes(batch, options));
    step(batch, options, 0.1).read();
    optimizer->settle();
  }
  const std::string count = network->find("bn1")->own_tensors()[4].name;
  GRAFT_ASSERT(network->state_dict().at("bn1." + count).item() == 3);
  return step.repeats();
}

struct DeviceFailingSteps : ::testing::TestWithParam<bool> {
  DeviceFailingSteps() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~DeviceFailingSteps() override { unsetenv("GRAFT_CUDNN_CACHE"); }
  cuda::emulator::FakeDnnState dnn;
  cuda::emulator::FakeBlasState blas;
};
INSTANTIATE_TEST_SUITE_P(Products, DeviceFailingSteps, ::testing::Bool(), [](const auto& which) { return which.param ? "libraries" : "own"; });

// An Error that names the device, or steps that were done all the same because only their recording failed; nothing leaked,
// no later call of a lost device, and every step counted once.
TEST_P(DeviceFailingSteps, EachCallFailsOnce) {
  const auto prepare = [&](cuda::emulator::FakeDriver& driver) {
    if (GetParam()) driver.provide_dnn(dnn), driver.provide_blas(blas);
    driver.skip_kernels();
  };
  int64_t calls = 0;
  {
    cuda::emulator::FakeDriver driver;
    prepare(driver);
    EXPECT_EQ(run_steps(driver), 1);
    calls = driver.calls();
    EXPECT_EQ(driver.live_objects(), 0);
  }
  ASSERT_GT(calls, 200);
  using Code = gpu::Status::Code;
  for (const Code code : {Code::out_of_memory, Code::failed, Code::lost}) {
    int64_t errors = 0, not_recorded = 0;
    for (int64_t n = 0; n < calls; ++n) {
      cuda::emulator::FakeDriver driver;
      prepare(driver);
      driver.fail_call(n, code);
      try {
        not_recorded += run_steps(driver) == 0;
      } catch (const Error& error) {
        ++errors;
        EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
        EXPECT_TRUE(std::string_view(error.what()).starts_with("cuda:0: ")) << error.what();
      }
      ASSERT_EQ(dnn.live_plans, 0) << "call " << n;
      if (code != Code::lost) ASSERT_EQ(driver.live_objects(), 0) << "call " << n;
      else ASSERT_LE(driver.calls(), n + 2) << "a lost device is asked again";
    }
    EXPECT_GT(errors, calls / 3);
    EXPECT_EQ(not_recorded > calls / 10, code != Code::lost) << not_recorded << " of " << calls;
  }
}

}  // namespace
}  // namespace graft::train
