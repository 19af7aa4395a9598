// ResNet-18 trained for 20 steps as PyTorch trains it: float64 to 1e-6, the frozen backbone in
// float32 to 0.1 %. (Whole networks in float32 are chaotic: PyTorch's own two layouts are 43 %
// apart after two steps of Adam.)
#include <gtest/gtest.h>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/loss.h"
#include "graft/models/resnet.h"
#include "graft/tests/support/network_formula.h"
#include "graft/train/optimizer.h"

namespace graft::models {
namespace {

struct Run {
  train::OptimizerOptions optimizer;
  double lr;
  DType dtype = DType::f64;
  bool frozen = false;
};

std::vector<double> losses_of(const Run& run) {
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 10;
  ResNet network(config);
  test::fill_by_formula(network);
  network.to(run.dtype);
  if (run.frozen)
    for (size_t stage = 0; stage + 1 < network.stages().size(); ++stage)
      network.freeze_stage(stage);
  network.train(true);
  std::vector<NamedTensor> trained = network.parameters();
  std::erase_if(trained, [](const NamedTensor& p) { return !requires_grad(p.tensor); });
  const auto optimizer = train::make_optimizer(trained, run.optimizer);
  const Tensor x =
      test::formula_image("image", {4, 3, 32, 32}).to(run.dtype).to(MemoryFormat::channels_last);
  const Tensor labels = test::formula_labels(4, 10);
  std::vector<double> losses;
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = functional::cross_entropy(network.forward(x), labels);
    optimizer->backward_and_step(loss, run.lr);
    losses.push_back(loss.item());
  }
  return losses;
}

void expect_losses(const Run& run, const std::string& name, double tolerance) {
  const std::vector<double> expected =
      io::read_weights(GRAFT_TEST_DATA "/networks/networks.safetensors")
          .tensors.at(name)
          .to_doubles();
  const std::vector<double> losses = losses_of(run);
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t step = 0; step < losses.size(); ++step)
    EXPECT_NEAR(losses[step], expected[step], tolerance * expected[step]) << "step " << step;
}

// One thread: with several, how many jobs hold scratch memory at once is a matter of chance.
TEST(ResNet18Training, LaterStepsAskTheSystemForNoMemory) {
  ExecContext context(1);
  const ScopedExecContext scope(context);
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 10;
  ResNet network(config);
  test::fill_by_formula(network);
  network.train(true);
  const auto optimizer = train::make_optimizer(network.parameters(), {.name = "adam"});
  const Tensor x =
      test::formula_image("image", {4, 3, 64, 64}).to(DType::f32).to(MemoryFormat::channels_last);
  const Tensor labels = test::formula_labels(4, 10);
  int64_t after_two = 0;
  for (int step = 0; step < 5; ++step) {
    optimizer->backward_and_step(functional::cross_entropy(network.forward(x), labels), 1e-4);
    if (step == 1) after_two = cpu_allocator().stats().system_calls;
  }
  EXPECT_EQ(cpu_allocator().stats().system_calls, after_two);
}

TEST(ResNet18Training, SgdInDouble) {
  expect_losses({{.name = "sgd", .momentum = 0.9}, 0.002}, "resnet18.sgd", 1e-6);
}
TEST(ResNet18Training, AdamInDouble) {
  expect_losses({{.name = "adam"}, 1e-4}, "resnet18.adam", 1e-6);
}
TEST(ResNet18Training, FrozenBackboneInFloat) {
  expect_losses({{.name = "sgd", .momentum = 0.9}, 0.05, DType::f32, true},
                "resnet18.frozen_backbone", 1e-3);
}

}  // namespace
}  // namespace graft::models
