// A training step on the fake GPU with every call of the driver failing once.
#include "graft/tests/kernels/cuda/failing_calls.h"

#include <gtest/gtest.h>

#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/tests/kernels/cuda/small_network.h"

namespace graft {
namespace {

using test::Batch;
using test::kCuda;
using test::Sizes;
using test::Trainer;

class CudaFailingCalls : public test::FailingCalls {};
INSTANTIATE_TEST_SUITE_P(Products, CudaFailingCalls, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "libraries" : "own"; });

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

// Allocations are tried again when the cache could help, and what is given back at the end is not
// worth an error.
TEST_P(CudaFailingCalls, EachFailsOnce) {
  fail_each_call(100, run_all,
                 [](Code, int64_t calls, int64_t errors) { EXPECT_GT(errors, calls / 2); });
}

}  // namespace
}  // namespace graft
