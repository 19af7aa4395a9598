// Export to ONNX: what is written is read back as the same network, by its card and, for a ResNet,
// from its nodes alone. (onnx's checker and onnxruntime agree:
// tests/data/networks/check_export.py.)
#include "graft/models/onnx_export.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/record.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/import.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

Model formula_model(const Architecture& architecture, int64_t size) {
  Model model;
  model.card.architecture = architecture;
  model.card.preprocess = io::imagenet_preprocess(size);
  model.card.labels =
      std::vector<std::string>(static_cast<size_t>(classes_of(architecture)), "a label");
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
                         ::testing::Values("resnet18", "resnet50", "cifar_resnet20",
                                           "squeezenet1_0", "squeezenet1_1", "mobilenet_v2",
                                           "densenet121"),
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
  const Imported imported = test::import_checked(folder / "plain.onnx", {.arch = "resnet50"});
  EXPECT_EQ(to_json(imported.model.card.architecture), to_json(model.card.architecture));
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  EXPECT_EQ(imported.model.network->forward(x).to_doubles(),
            model.network->forward(x).to_doubles());
}

TEST(OnnxExport, NodesHaveTheLayersNames) {
  ResNetConfig config = resnet_config("resnet18");
  config.stages = 1;
  config.classes = 0;
  const Model model = formula_model(config, 32);
  const io::onnx::Model exported = to_onnx(*model.network, model.card);
  std::vector<std::string> names;
  for (const auto& node : exported.graph.nodes)
    names.push_back(node.op_type + " " + node.outputs.at(0));
  const std::vector<std::string> first = {"Conv conv1", "BatchNormalization bn1", "Relu bn1.relu",
                                          "MaxPool maxpool", "Conv layer1.0.conv1"};
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
    EXPECT_NE(std::string(error.what()).find("adaptive average pool"), std::string::npos)
        << error.what();
  }
}

// data [1,3,8,8] of opset 11 -> conv with bias, added to itself -> Clip, Pad and Unsqueeze with
// attributes or inputs of that opset -> Reshape to a stored shape -> Gemm.
io::onnx::Model old_graph(int64_t opset) {
  using io::onnx::AttributeType;
  io::onnx::Model model;
  model.path = "old.onnx";
  model.ir_version = 6;
  model.opsets = {{"", opset}};
  const auto tensor = [&](const std::string& name, const Tensor& value) {
    io::onnx::NamedTensor named;
    named.name = name;
    named.value = value;
    model.graph.initializers.push_back(std::move(named));
  };
  tensor("w", test::formula_image("w", {4, 3, 3, 3}));
  tensor("b", test::formula_image("b", {4}));
  tensor("fc", test::formula_image("fc", {5, 64}));
  tensor("shape", Tensor::of<int64_t>({2}, {-1, 64}));
  const auto node = [&](const std::string& op, std::vector<std::string> inputs,
                        const std::string& output,
                        std::vector<io::onnx::Attribute> attributes = {}) {
    io::onnx::Node n;
    n.op_type = op;
    n.name = output;
    n.inputs = std::move(inputs);
    n.outputs = {output};
    n.attributes = std::move(attributes);
    model.graph.nodes.push_back(std::move(n));
  };
  node("Conv", {"data", "w", "b"}, "c",
       {{.name = "strides", .type = AttributeType::ints, .ints = {2, 2}}});
  node("Pad", {"c"}, "d",
       {{.name = "pads", .type = AttributeType::ints, .ints = {0, 0, 0, 0, 0, 0, 1, 1}}});
  node("Clip", {"d"}, "r",
       {{.name = "min", .type = AttributeType::float_, .f = 0},
        {.name = "max", .type = AttributeType::float_, .f = 6}});
  node("Add", {"d", "r"}, "s");
  node("Dropout", {"s"}, "o", {{.name = "ratio", .type = AttributeType::float_, .f = 0.25f}});
  node("Unsqueeze", {"o"}, "u", {{.name = "axes", .type = AttributeType::ints, .ints = {2}}});
  node("Reshape", {"u", "shape"}, "f");
  node("Gemm", {"f", "fc"}, "y", {{.name = "transB", .type = AttributeType::int_, .i = 1}});
  io::onnx::ValueInfo x;
  x.name = "data";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{-1, "N"}, {3, ""}, {8, ""}, {8, ""}};
  model.graph.inputs = {x};
  x.name = "y";
  model.graph.outputs = {x};
  return model;
}

std::vector<double> answer_of_nodes(const io::onnx::Model& model, const Tensor& x) {
  const NoGradGuard no_grad;
  GraphModule module(read_graph(model));
  module.train(false);
  return module.run(std::vector<Tensor>{x}).at(0).to_doubles();
}

TEST(OnnxExport, GraphsLeaveWithTheirShapesAndANewHead) {
  Imported imported = test::import_checked(old_graph(9), {});
  EXPECT_EQ(imported.certificate.neutral_norms, 1);
  replace_head(imported.model, 3, 1);
  imported.model.card.labels = {"a", "b", "c"};
  const io::onnx::Model exported = to_onnx(*imported.model.network, imported.model.card);
  ASSERT_EQ(exported.opsets.size(), 1u);
  EXPECT_EQ(exported.opsets[0].version, 17);
  EXPECT_EQ(exported.graph.outputs.at(0).name, "logits");
  EXPECT_EQ(exported.graph.inputs.at(0).dims.at(0).symbol, "N");
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "model.onnx", exported);
  const Model again = load_model(folder / "model.onnx");
  EXPECT_EQ(again.card.to_json(), imported.model.card.to_json());
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 8, 8}).to(MemoryFormat::channels_last);
  const std::vector<double> expected = imported.model.network->forward(x).to_doubles();
  EXPECT_EQ(again.network->forward(x).to_doubles(), expected);
  EXPECT_EQ(answer_of_nodes(io::onnx::read_model(folder / "model.onnx"), x), expected);
}

TEST(OnnxExport, GraphsOfAnOldOpsetThatMeansSomethingElseKeepIt) {
  io::onnx::Model model = old_graph(9);
  io::onnx::Node softmax;  // before opset 13 over all axes from 1 on
  softmax.op_type = "Softmax";
  softmax.name = "flat";
  softmax.inputs = {"s"};
  softmax.outputs = {"t"};
  model.graph.nodes[4].inputs = {"t"};
  model.graph.nodes.insert(model.graph.nodes.begin() + 4, softmax);
  Imported imported = test::import_checked(model, {});
  const io::onnx::Model exported = to_onnx(*imported.model.network, imported.model.card);
  EXPECT_EQ(exported.opsets.at(0).version, 9);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 8, 8}).to(MemoryFormat::channels_last);
  EXPECT_EQ(answer_of_nodes(exported, x), imported.model.network->forward(x).to_doubles());
}

}  // namespace
}  // namespace graft::models
