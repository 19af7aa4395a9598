// 16 bits on the device: float16 with a loss scale, and the copies of weights that the optimizer
// writes.
#include <gtest/gtest.h>

#include "graft/core/tensor/rounded_copy.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/loss.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

using test::kCuda;

Recipe half_recipe() {
  Recipe recipe = small_recipe();
  recipe.epochs = 2;
  recipe.precision = "fp16";
  return recipe;
}

struct HalfRun {
  std::unique_ptr<SmallNetwork> network = small_network();
  std::vector<std::string> notes;
  FitResult result;
  explicit HalfRun(const Recipe& recipe, FitOptions options = {}) {
    options.on_note = [this](const std::string& note) { notes.push_back(note); };
    network->to(kCuda);
    result = fit(*network, small_data(), pattern_preprocess(8), recipe, options);
  }
};

TEST(DevicePrecision, TrainsInFloat16) {
  Recipe exact = half_recipe();
  exact.precision = "fp32";
  const Outcome host = run_small(exact);
  for (const double scale : {0.0, 1.0, 1024.0}) {
    Recipe recipe = half_recipe();
    recipe.loss_scale = scale;
    test::TestDevice opened;
    const HalfRun run(recipe);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_NEAR(run.result.history[i].loss, host.result.history[i].loss, 1e-2) << scale;
    EXPECT_NE(run.result.history[0].loss, host.result.history[0].loss);
    for (const NamedTensor& p : run.network->parameters())
      EXPECT_EQ(p.tensor.dtype(), DType::f32) << p.name;
  }
}

// A scale under which gradients overflow: no step is taken, and a note says so.
TEST(DevicePrecision, LeavesOutStepsWhoseGradientsOverflow) {
  Recipe recipe = half_recipe();
  recipe.epochs = 1;
  recipe.loss_scale = 16777216;
  const auto untrained = small_network();
  test::TestDevice opened;
  const HalfRun run(recipe);
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_NE(run.notes[0].find("skipped"), std::string::npos) << run.notes[0];
  const StateDict after = run.network->state_dict();
  for (const NamedTensor& p : untrained->parameters())
    EXPECT_EQ(after.at(p.name).to_doubles(), p.tensor.to_doubles()) << p.name;
}

// The scale is part of the checkpoint: a run in two parts is the run in one, to the bit.
TEST(DevicePrecision, ResumesWithItsLossScale) {
  const Recipe recipe = half_recipe();
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{
      .folder = folder / "run", .identity = "test", .checkpoint_seconds = 0, .stop = &stop};
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  test::TestDevice opened;
  const HalfRun whole(recipe);
  EXPECT_TRUE(HalfRun(recipe, options).result.interrupted);
  stop = false;
  options.on_epoch = {};
  options.resume = true;
  const HalfRun rest(recipe, options);
  EXPECT_EQ(numbers_of(rest.result), numbers_of(whole.result));
  EXPECT_EQ(bytes_of(*rest.network), bytes_of(*whole.network));
}

// The optimizer writes a convolution's 16-bit weight with its weight: no pass of a later step
// rounds it.
TEST(DevicePrecision, TheOptimizerKeepsThe16BitWeights) {
  setenv("GRAFT_CUDNN_CACHE", "off", 1);
  test::TestDevice opened(test::Products::libraries);
  const auto network = small_network();
  network->to(kCuda);
  const auto optimizer = make_optimizer(network->parameters(), {});
  const Tensor x =
      to_device(Tensor::full({4, 3, 8, 8}, 0.5,
                             {.dtype = DType::bf16, .format = MemoryFormat::channels_last}),
                kCuda);
  const Tensor labels = to_device(Tensor::of<int64_t>({4}, {0, 1, 2, 0}), kCuda),
               weight = static_cast<Conv2d*>(network->find("conv2"))->weight();
  EXPECT_FALSE(current_copy(weight).defined());
  const void* place = nullptr;
  for (int step = 0; step < 3; ++step) {
    optimizer->backward_and_step(
        functional::cross_entropy(functional::cast(network->forward(x), DType::f32), labels), 0.1);
    const Tensor copy = current_copy(weight);
    ASSERT_TRUE(copy.defined()) << step;
    EXPECT_EQ(copy.to_doubles(), weight.to(DType::bf16).to_doubles()) << step;
    EXPECT_TRUE(step == 0 || copy.raw() == place) << step;
    place = copy.raw();
  }
  unsetenv("GRAFT_CUDNN_CACHE");
}

}  // namespace
}  // namespace graft::train
