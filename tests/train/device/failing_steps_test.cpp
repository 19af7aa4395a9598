// Repeated training steps on the fake GPU with every call of the driver failing once.
#include <gtest/gtest.h>

#include "graft/tests/kernels/cuda/failing_calls.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/training_step.h"

namespace graft::train {
namespace {

// Opening, a step as it is, a recorded one, a repeat; results are read, though nothing is computed.
int64_t run_steps(cuda::emulator::FakeDriver& driver) {
  cuda::Backend backend(driver);
  const auto network = small_network();
  network->to(test::kCuda);
  const auto optimizer = make_optimizer(network->parameters(), {.loss_scale = 0});
  Classification task(3);
  TrainingStep step(*network, 0, task, *optimizer, {.activations = DType::f16, .repeat = true});
  const Batch batch{Tensor::zeros({4, 3, 8, 8}, {.format = MemoryFormat::channels_last}),
                    Tensor::zeros({4}, {.dtype = DType::i64}),
                    {}};
  for (int i = 0; i < 3; ++i) {
    step.run(batch, 0.1).read();
    optimizer->settle();
  }
  const std::string count = network->find("bn1")->own_tensors()[4].name;
  GRAFT_ASSERT(network->state_dict().at("bn1." + count).item() == 3);
  return step.repeats();
}

class DeviceFailingSteps : public test::FailingCalls {};
INSTANTIATE_TEST_SUITE_P(Products, DeviceFailingSteps, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "libraries" : "own"; });

// Some failures are no error: the steps were done all the same because only their recording failed,
// and every step counted once.
TEST_P(DeviceFailingSteps, EachCallFailsOnce) {
  int64_t runs = 0, not_recorded = 0;
  const auto work = [&](cuda::emulator::FakeDriver& driver) {
    const bool nothing_fails = runs++ == 0;
    const int64_t repeats = run_steps(driver);
    EXPECT_TRUE(!nothing_fails || repeats == 1) << repeats;
    not_recorded += repeats == 0;
  };
  fail_each_call(200, work, [&](Code code, int64_t calls, int64_t errors) {
    EXPECT_GT(errors, calls / 3);
    EXPECT_EQ(not_recorded > calls / 10, code != Code::lost) << not_recorded << " of " << calls;
    not_recorded = 0;
  });
}

}  // namespace
}  // namespace graft::train
