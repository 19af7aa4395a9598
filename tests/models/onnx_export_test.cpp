// Export to ONNX: what is written is read back as the same network, by its card and, for a ResNet, from its nodes alone.
// (onnx's checker and onnxruntime agree: tests/data/networks/check_export.py.)
#include "graft/models/onnx_export.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/record.h"
#include "graft/models/import.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

Model formula_model(const Architecture& architecture, int64_t size) {
  Model model;
  model.card.architecture = architecture;
  model.card.preprocess = io::imagenet_preprocess(size);
  model.card.labels = std::vector<std::string>(static_cast<size_t>(classes_of(architecture)), "a label");
  model.network = make_network(architecture);
  test::fill_by_formula(*model.network);
  model.network->train(false);
  return model;
}

class OnnxExport : public ::testing::TestWithParam<std::string> {};

TEST_P(OnnxExport, IsReadBackAsTheSameNetwork) {
  Architecture architecture = architecture_named(GetParam());
  std::visit([](auto& config) { config.classes = 5; }, architecture);
  const Model model = formula_model(architecture, 64);
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "model.onnx", to_onnx(*model.network, model.card));
  const Model again = load_model(folder / "model.onnx");
  EXPECT_EQ(again.card.to_json(), model.card.to_json());
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  EXPECT_EQ(again.network->forward(x).to_doubles(), model.network->forward(x).to_doubles());
}

INSTANTIATE_TEST_SUITE_P(Networks, OnnxExport,
                         ::testing::Values("resnet18", "resnet50", "cifar_resnet20", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121"),
                         [](const auto& tested) { return tested.param; });

TEST(OnnxExport, TheNodesAloneAreTheResNet) {
  ResNetConfig config = resnet_config("resnet50");
  config.stride_in_3x3 = false;
  config.eps = 1e-3;
  config.pool_pad_begin = 0;
  config.classes = 3;
  const Model model = formula_model(config, 64);
  io::onnx::Model exported = to_onnx(*model.network, model.card);
  exported.metadata.clear();
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "plain.onnx", exported);
  const Imported imported = import_weights(folder / "plain.onnx", {.arch = "resnet50"});
  EXPECT_EQ(to_json(imported.model.card.architecture), to_json(model.card.architecture));
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  EXPECT_EQ(imported.model.network->forward(x).to_doubles(), model.network->forward(x).to_doubles());
}

TEST(OnnxExport, NodesHaveTheLayersNames) {
  ResNetConfig config = resnet_config("resnet18");
  config.stages = 1;
  config.classes = 0;
  const Model model = formula_model(config, 32);
  const io::onnx::Model exported = to_onnx(*model.network, model.card);
  std::vector<std::string> names;
  for (const auto& node : exported.graph.nodes) names.push_back(node.op_type + " " + node.outputs.at(0));
  const std::vector<std::string> first = {"Conv conv1", "BatchNormalization bn1", "Relu bn1.relu", "MaxPool maxpool", "Conv layer1.0.conv1"};
  EXPECT_TRUE(std::equal(first.begin(), first.end(), names.begin())) << join(names);
  EXPECT_EQ(names.back(), "Flatten features");
  EXPECT_EQ(exported.graph.outputs.at(0).dims.at(1).value, 64);
}

TEST(OnnxExport, WhatHasNoNodeIsNamed) {
  // 64 pixels leave 2x2 before VGG's pool to 7x7.
  Model model = formula_model(FeatureConfig{.name = "vgg11_bn", .classes = 0}, 64);
  try {
    to_onnx(*model.network, model.card);
    ADD_FAILURE() << "an adaptive pool from 2x2 to 7x7 was written";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("adaptive average pool"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace graft::models
