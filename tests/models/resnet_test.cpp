// ResNets against torchvision's: names, forward, gradients, one step of SGD; the variants.
#include "graft/models/resnet.h"

#include <gtest/gtest.h>

#include <fstream>
#include <span>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/loss.h"
#include "graft/models/initialization.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/train/optimizer.h"

namespace graft::models {
namespace {

const StateDict& golden() {
  static const StateDict tensors =
      io::read_weights(GRAFT_TEST_DATA "/networks/networks.safetensors").tensors;
  return tensors;
}

int64_t parameter_count(const Module& module) {
  int64_t count = 0;
  for (const auto& [name, tensor] : module.parameters()) count += tensor.numel();
  return count;
}

std::vector<NamedTensor> floating(std::vector<NamedTensor> tensors) {
  std::erase_if(tensors, [](const NamedTensor& t) { return !is_floating(t.tensor.dtype()); });
  return tensors;
}

// The committed list has a line "parameter layer1.0.conv1.weight [64,64,1,1]" for each tensor, in
// torchvision's order.
void expect_names(const std::string& arch) {
  const ResNet network(resnet_config(arch));
  std::vector<std::string> expected, actual;
  std::ifstream file(GRAFT_TEST_DATA "/networks/" + arch + "_names.txt");
  for (std::string line; std::getline(file, line);) expected.push_back(line);
  for (const auto& [name, tensor] : network.parameters())
    actual.push_back(str("parameter ", name, " ", tensor.shape()));
  for (const auto& [name, tensor] : network.buffers())
    actual.push_back(str("buffer ", name, " ", tensor.shape()));
  EXPECT_EQ(actual, expected);
}

TEST(ResNet, TorchvisionsNamesShapesAndOrder) {
  expect_names("resnet18");
  expect_names("resnet50");
}

TEST(ResNet, ParameterCounts) {
  const ResNet network(resnet_config("resnet50"));
  EXPECT_EQ(network.parameters().size(), 161u);
  EXPECT_EQ(network.buffers().size(), 159u);
  EXPECT_EQ(parameter_count(network), 25557032);
  EXPECT_EQ(parameter_count(ResNet(resnet_config("resnet18"))), 11689512);
  EXPECT_EQ(parameter_count(ResNet(resnet_config("resnet34"))), 21797672);
  EXPECT_EQ(parameter_count(ResNet(resnet_config("resnet101"))), 44549160);
  EXPECT_EQ(parameter_count(ResNet(resnet_config("resnet152"))), 60192808);
  EXPECT_THROW(resnet_config("resnet17"), Error);
}

// One step of SGD on two 64x64 images. The weights are a formula; the goldens are PyTorch's in
// float64.
class ResNet50 : public ::testing::Test {
 protected:
  ResNet50() : network_(resnet_config("resnet50")) { test::fill_by_formula(network_); }

  struct Tolerances {
    double logits, gradients, parameters;
  };
  void expect_step(const std::string& name, const Tensor& x, const Tolerances& tolerances) {
    const auto expected = [&](const char* what) {
      return golden().at("resnet50." + name + "." + what);
    };
    const auto optimizer = train::make_optimizer(
        network_.parameters(), {.name = "sgd", .momentum = 0.9, .weight_decay = 1e-2});
    std::vector<NamedTensor> before, gradients, updates;
    for (const auto& [path, tensor] : network_.parameters())
      before.push_back({path, tensor.to(DType::f64).clone()});
    const Tensor logits = network_.forward(x);
    const Tensor loss = functional::cross_entropy(logits, test::formula_labels(2, 1000));
    backward(loss);
    EXPECT_LE(test::relative_error(logits.to_doubles(), expected("logits").to_doubles()),
              tolerances.logits);
    EXPECT_NEAR(loss.item(), expected("loss").item(), tolerances.logits * expected("loss").item());
    for (const auto& [path, tensor] : network_.parameters())
      gradients.push_back({path, grad_of(tensor)});
    test::expect_summaries(gradients, expected("gradients"), tolerances.gradients, "gradient");
    test::expect_summaries(floating(network_.buffers()), expected("buffers"), tolerances.parameters,
                           "running statistic");
    optimizer->step(0.1);
    test::expect_summaries(network_.parameters(), expected("parameters"), tolerances.parameters,
                           "parameter after the step");
    for (size_t i = 0; i < before.size(); ++i)
      updates.push_back(
          {before[i].name, functional::sub(network_.parameters()[i].tensor.detach().to(DType::f64),
                                           before[i].tensor)});
    test::expect_summaries(updates, expected("updates"), tolerances.gradients, "update");
  }

  ResNet network_;
  const Tensor x_ = test::formula_image("image 0", {2, 3, 64, 64});
};

TEST_F(ResNet50, LogitsInBothLayouts) {
  network_.train(false);
  const NoGradGuard no_grad;
  const std::vector<double> expected = golden().at("resnet50.evaluation.logits").to_doubles();
  EXPECT_LE(test::relative_error(network_.forward(x_.to(MemoryFormat::channels_last)).to_doubles(),
                                 expected),
            1e-4);
  EXPECT_LE(test::relative_error(network_.forward(x_.narrow_batch(0, 1)).to_doubles(),
                                 std::span(expected).first(1000)),
            1e-4);
}

TEST_F(ResNet50, StepInFloatOnRunningStatistics) {
  network_.train(false);
  expect_step("evaluation", x_.to(MemoryFormat::channels_last), {1e-4, 1e-3, 1e-4});
}

// With batch statistics PyTorch's own float32 gradients are 2 % off: ReLUs flip. So this one is in
// double.
TEST_F(ResNet50, StepInDoubleOnBatchStatistics) {
  network_.to(DType::f64);
  expect_step("training", x_.to(DType::f64).to(MemoryFormat::channels_last), {1e-9, 1e-7, 1e-8});
}

TEST_F(ResNet50, LogitsInFloatOnBatchStatistics) {
  const NoGradGuard no_grad;
  EXPECT_LE(test::relative_error(network_.forward(x_.to(MemoryFormat::channels_last)).to_doubles(),
                                 golden().at("resnet50.training.logits").to_doubles()),
            1e-3);
}

// Caffe's variant (stride in the first 1x1, stem pool padded at the end only, eps 1e-3), grey, cut
// after layer2.
TEST(ResNet, VariantOne) {
  ResNetConfig config = resnet_config("resnet50");
  config.stride_in_3x3 = false;
  config.pool_pad_begin = 0;
  config.eps = 1e-3;
  config.in_channels = 1;
  config.stages = 2;
  config.classes = 0;
  ResNet network(config);
  EXPECT_EQ(network.stages(), (std::vector<std::string>{"stem", "layer1", "layer2", "pool"}));
  EXPECT_EQ(network.features(), 512);
  test::fill_by_formula(network);
  network.train(false);
  const Tensor features = network.forward(test::formula_image("grey", {1, 1, 48, 40}));
  EXPECT_EQ(features.shape(), (Shape{1, 512}));
  EXPECT_LE(
      test::relative_error(features.to_doubles(), golden().at("resnet50_v1.features").to_doubles()),
      1e-4);
}

TEST(ResNet, StagesComposeToTheWhole) {
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 5;
  ResNet network(config);
  test::fill_by_formula(network);
  network.train(false);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {1, 3, 32, 32}).to(MemoryFormat::channels_last);
  const std::vector<double> whole = network.forward(x).to_doubles();
  ASSERT_EQ(network.stages().size(), 7u);
  for (size_t cut = 0; cut <= 7; ++cut)
    EXPECT_EQ(network.forward_stages(network.forward_stages(x, 0, cut), cut, 7).to_doubles(), whole)
        << cut;
  EXPECT_THROW(network.forward_stages(x, 3, 8), Error);
  EXPECT_THROW(network.forward(test::formula_image("image", {1, 1, 32, 32})), Error);
  EXPECT_EQ(network.stage_index("layer3"), 3u);
  EXPECT_THROW(network.stage_index("layer9"), Error);
}

TEST(ResNet, FreezingStagesAndANewHead) {
  ResNet network(resnet_config("resnet18"));
  initialize(network, 1);
  network.replace_head(3);
  EXPECT_EQ(network.state_dict().at("fc.weight").shape(), (Shape{3, 512}));
  EXPECT_EQ(network.frozen_stages(), 0u);
  for (size_t stage = 0; stage < 3; ++stage) network.freeze_stage(stage);
  EXPECT_EQ(network.frozen_stages(), 3u);
  network.train(true);
  for (const auto& [name, tensor] : network.parameters()) {
    const bool frozen = name.starts_with("conv1") || name.starts_with("bn1") ||
                        name.starts_with("layer1") || name.starts_with("layer2");
    EXPECT_EQ(requires_grad(tensor), !frozen) << name;
  }
  EXPECT_FALSE(network.find("bn1")->training());
  EXPECT_TRUE(network.find("layer3.0.bn1")->training());
  EXPECT_FALSE(needs_grad(network.forward_stages(
      test::formula_image("image", {2, 3, 32, 32}).to(MemoryFormat::channels_last), 0, 3)));
  EXPECT_TRUE(requires_grad(network.state_dict().at("fc.weight")));
}

}  // namespace
}  // namespace graft::models
