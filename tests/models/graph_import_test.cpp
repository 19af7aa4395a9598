// An .onnx without --arch: the graph as a network, cut, given a head, stored in a card and loaded
// again.
#include "graft/models/graph/graph_import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/allocator.h"
#include "graft/io/onnx/model.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/train/freezing.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

Node node_of(const std::string& op, std::vector<std::string> inputs, std::string output,
             std::vector<Attribute> attributes = {}) {
  Node n;
  n.name = output + "_node";
  n.op_type = op;
  n.inputs = std::move(inputs);
  n.outputs = {std::move(output)};
  n.attributes = std::move(attributes);
  return n;
}

void add_tensor(io::onnx::Model& model, const std::string& name, const Tensor& value,
                io::onnx::ElementType type = io::onnx::ElementType::float32) {
  io::onnx::NamedTensor tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.value = value;
  model.graph.initializers.push_back(std::move(tensor));
}

// data [1,3,16,16] -> conv -> norm -> relu -> dropout -> Reshape to [1,-1] of the pooled -> Gemm ->
// Softmax: a fixed batch of 1.
io::onnx::Model classifier() {
  io::onnx::Model model;
  model.path = "classifier.onnx";
  model.ir_version = 8;
  model.opsets = {{"", 11}};
  add_tensor(model, "w1", test::formula_image("w1", {4, 3, 3, 3}));
  for (const char* name : {"gamma", "beta", "mean"})
    add_tensor(model, name, test::formula_image(name, {4}));
  add_tensor(model, "var", Tensor::full({4}, 2));
  add_tensor(model, "flat", Tensor::of<int64_t>({2}, {1, -1}), io::onnx::ElementType::int64);
  add_tensor(model, "fc.weight", test::formula_image("fc", {5, 4}));
  add_tensor(model, "fc.bias", test::formula_image("b", {5}));
  model.graph.nodes = {node_of("Conv", {"data", "w1"}, "c"),
                       node_of("BatchNormalization", {"c", "gamma", "beta", "mean", "var"}, "n"),
                       node_of("Relu", {"n"}, "r"),
                       node_of("Dropout", {"r"}, "o",
                               {{.name = "ratio", .type = AttributeType::float_, .f = 0.25f}}),
                       node_of("GlobalAveragePool", {"o"}, "p"),
                       node_of("Reshape", {"p", "flat"}, "f"),
                       node_of("Gemm", {"f", "fc.weight", "fc.bias"}, "y",
                               {{.name = "transB", .type = AttributeType::int_, .i = 1}}),
                       node_of("Softmax", {"y"}, "prob")};
  io::onnx::ValueInfo x;
  x.name = "data";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{1, ""}, {3, ""}, {16, ""}, {16, ""}};
  model.graph.inputs = {x};
  x.name = "prob";
  model.graph.outputs = {x};
  return model;
}

Tensor images() {
  return test::formula_image("image", {3, 3, 16, 16}).to(MemoryFormat::channels_last);
}

std::string refused(const io::onnx::Model& model, const ImportOptions& options = {}) {
  try {
    test::import_checked(model, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(GraphImport, AClassifierIsFoundAndItsSoftmaxLeftOut) {
  const Imported imported = test::import_checked(classifier(), {});
  const auto& config = std::get<GraphConfig>(imported.model.card.architecture);
  EXPECT_EQ(config.classes, 5);
  EXPECT_EQ(config.classifier_input, "f");
  EXPECT_EQ(config.features, 4);
  EXPECT_EQ(imported.model.card.preprocess.size, 16);
  EXPECT_EQ(imported.model.network->stages().back(), "y_node");
  EXPECT_NE(imported.certificate.cut.find("Gemm node 'y_node'"), std::string::npos);
  const NoGradGuard no_grad;
  const Tensor y = imported.model.network->forward(images());
  EXPECT_EQ(y.shape(), (Shape{3, 5}));  // any batch, though the file says 1
  double sum = 0;
  for (const double v : imported.model.network->forward(images().narrow_batch(0, 1)).to_doubles())
    sum += v;
  EXPECT_GT(std::abs(sum - 1), 1e-3);  // logits, not probabilities
}

TEST(GraphImport, ANewHeadStandsInFrontOfTheClassifierAndTheModelFileRoundTrips) {
  Imported imported = test::import_checked(classifier(), {});
  Model& model = imported.model;
  replace_head(model, 2, 7);
  model.card.labels = {"a", "b"};
  EXPECT_EQ(model.network->stages().back(), "head");
  EXPECT_FALSE(model.network->state_dict().contains("fc.weight"));
  EXPECT_EQ(model.network->state_dict().at("head.weight").shape(), (Shape{2, 4}));
  const TemporaryFolder folder;
  save_model(folder / "m.safetensors", *model.network, model.card);
  const Model again = load_model(folder / "m.safetensors");
  EXPECT_EQ(again.card.to_json(), model.card.to_json());
  EXPECT_EQ(again.network->stages(), model.network->stages());
  const NoGradGuard no_grad;
  EXPECT_EQ(again.network->forward(images()).to_doubles(),
            model.network->forward(images()).to_doubles());
  // Dropout is there after loading too: two training passes with the norm fixed differ.
  again.network->train(true);
  again.network->for_each_module([](const std::string&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) norm->fix_statistics(true);
  });
  EXPECT_NE(again.network->forward(images()).to_doubles(),
            model.network->forward(images()).to_doubles());
}

TEST(GraphImport, CutsAfterANode) {
  const Imported imported = test::import_checked(classifier(), {.cut = "r_node"});
  EXPECT_EQ(imported.model.network->stages().back(), "pool");
  EXPECT_EQ(std::get<GraphConfig>(imported.model.card.architecture).classes, 0);
  const NoGradGuard no_grad;
  EXPECT_EQ(imported.model.network->forward(images()).shape(), (Shape{3, 4}));
  EXPECT_NE(refused(classifier(), {.cut = "nowhere"}).find("no such node"), std::string::npos);
}

TEST(GraphImport, FeaturesAreWhatTheClassifierTakes) {
  Imported imported = test::import_checked(classifier(), {});
  remove_classifier(imported.model);
  const NoGradGuard no_grad;
  EXPECT_EQ(imported.model.network->forward(images()).shape(), (Shape{3, 4}));
}

TEST(GraphImport, FreezesUpToANode) {
  Imported imported = test::import_checked(classifier(), {});
  train::Recipe recipe;
  recipe.freeze = "..r_node";
  train::apply_freezing(*imported.model.network, recipe);
  EXPECT_EQ(imported.model.network->stages().at(2), "r_node");
  EXPECT_GE(imported.model.network->frozen_stages(), 3u);
  EXPECT_LT(imported.model.network->frozen_stages(), imported.model.network->stages().size());
}

TEST(GraphImport, AmbiguousEndsListTheirCandidates) {
  io::onnx::Model model = classifier();
  add_tensor(model, "fc2", test::formula_image("fc2", {5, 4}));
  model.graph.nodes.pop_back();
  model.graph.nodes.push_back(node_of("Gemm", {"f", "fc2"}, "z",
                                      {{.name = "transB", .type = AttributeType::int_, .i = 1}}));
  model.graph.nodes.push_back(node_of("Add", {"y", "z"}, "prob"));
  const std::string text = refused(model);
  for (const char* part : {"y_node", "z_node", "--cut"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(GraphImport, InputsThatAreNoImagesAreRefused) {
  io::onnx::Model model = classifier();
  model.graph.inputs[0].dims[1].value = 7;
  EXPECT_NE(refused(model).find("7 channels"), std::string::npos);
  model = classifier();
  model.graph.inputs[0].dims.pop_back();
  EXPECT_NE(refused(model).find("3 axes"), std::string::npos);
}

// data -> conv with bias -> relu -> conv with bias, added to the first: what is left of a residual
// network after folding.
io::onnx::Model folded_residual() {
  io::onnx::Model model = classifier();
  model.graph.initializers.clear();
  add_tensor(model, "w1", test::formula_image("w1", {4, 3, 3, 3}));
  add_tensor(model, "b1", test::formula_image("b1", {4}));
  add_tensor(model, "w2", test::formula_image("w2", {4, 4, 1, 1}));
  add_tensor(model, "b2", test::formula_image("b2", {4}));
  add_tensor(model, "fc.weight", test::formula_image("fc", {5, 4}));
  model.graph.nodes = {node_of("Conv", {"data", "w1", "b1"}, "c"),
                       node_of("Relu", {"c"}, "r"),
                       node_of("Conv", {"r", "w2", "b2"}, "d"),
                       node_of("Add", {"d", "r"}, "s"),
                       node_of("GlobalAveragePool", {"s"}, "p"),
                       node_of("Flatten", {"p"}, "f"),
                       node_of("Gemm", {"f", "fc.weight"}, "prob",
                               {{.name = "transB", .type = AttributeType::int_, .i = 1}})};
  return model;
}

TEST(GraphImport, FoldedNormsStandAgain) {
  const io::onnx::Model model = folded_residual();
  Imported imported = test::import_checked(model, {});
  EXPECT_EQ(imported.model.card.neutral_norms,
            (std::vector<std::string>{"c_node/norm", "d_node/norm"}));
  EXPECT_EQ(imported.certificate.neutral_norms, 2);
  EXPECT_EQ(imported.certificate.matched, 5);
  EXPECT_EQ(still_neutral(*imported.model.network, imported.model.card.neutral_norms).size(), 2u);
  GraphModule plain(read_graph(model));
  plain.train(false);
  const NoGradGuard no_grad;
  const auto with = imported.model.network->forward(images()).to_doubles(),
             without = plain.forward(images()).to_doubles();
  for (size_t i = 0; i < with.size(); ++i)
    EXPECT_NEAR(with[i], without[i], 1e-4 * std::abs(without[i]) + 1e-5);
  replace_head(imported.model, 2, 1);
  EXPECT_EQ(imported.model.card.neutral_norms.size(), 2u);
  const TemporaryFolder folder;
  save_model(folder / "m.safetensors", *imported.model.network, imported.model.card);
  EXPECT_EQ(load_model(folder / "m.safetensors").card.neutral_norms.size(), 2u);
}

// data -> conv with bias -> relu -> conv with bias -> relu -> ...: nothing but numbers and names
// tells whether norms were folded.
io::onnx::Model biased_chain() {
  io::onnx::Model model = folded_residual();
  model.graph.nodes[3] = node_of("Relu", {"d"}, "s");
  for (auto& tensor : model.graph.initializers)
    if (tensor.name[0] == 'w') tensor.value.copy_from(Tensor::full(tensor.value.shape(), 0.1));
  return model;
}

TEST(GraphImport, ChainsWithFiltersOfOneSizeKeepTheirBiases) {
  const Imported imported = test::import_checked(biased_chain(), {});
  EXPECT_TRUE(imported.model.card.neutral_norms.empty());
  EXPECT_NE(imported.certificate.biases.find("taken for their own: the graph has no norms, and its "
                                             "filters are of similar size (spread 0.00)"),
            std::string::npos)
      << imported.certificate.biases;
}

TEST(GraphImport, ChainsWithFiltersOfManySizesHadNorms) {
  io::onnx::Model model = biased_chain();
  for (auto& tensor : model.graph.initializers)
    for (int64_t i = 0; tensor.name[0] == 'w' && i < tensor.value.numel(); ++i)
      tensor.value.mutable_data<float>()[i] *= static_cast<float>(1 + i * 4 / tensor.value.numel());
  const Imported imported = test::import_checked(model, {});
  EXPECT_EQ(imported.model.card.neutral_norms.size(), 2u);
  EXPECT_NE(imported.certificate.biases.find("of very different sizes"), std::string::npos)
      << imported.certificate.biases;
}

TEST(GraphImport, ExportersNamesDecideWhatWasFolded) {
  for (const auto& [weight, bias] : std::vector<std::pair<std::string, std::string>>{
           {"onnx::Conv_17", "onnx::Conv_18"},
           {"features.0.weight", "features.0.weight_bias"},
           {"w", "conv/bias_fused_bn"}}) {
    io::onnx::Model model = biased_chain();
    model.graph.initializers[0].name = model.graph.nodes[0].inputs[1] = weight;
    model.graph.initializers[1].name = model.graph.nodes[0].inputs[2] = bias;
    const Imported imported = test::import_checked(model, {});
    EXPECT_EQ(imported.model.card.neutral_norms, std::vector<std::string>{"c_node/norm"})
        << bias;  // the other has a bias of its own
    EXPECT_NE(imported.certificate.to_text().find("the exporter's names say so"),
              std::string::npos);
  }
}

// Norms in front of the convolutions, as in DenseNet: what follows a convolution was folded into
// it.
TEST(GraphImport, NormsBehindNoConvolutionMeanThatOthersWereFolded) {
  io::onnx::Model model = biased_chain();
  for (const char* name : {"gamma", "beta", "mean"})
    add_tensor(model, name, test::formula_image(name, {4}));
  add_tensor(model, "var", Tensor::full({4}, 2));
  model.graph.nodes[1] = node_of("Relu", {"c"}, "a");
  model.graph.nodes.insert(
      model.graph.nodes.begin() + 2,
      node_of("BatchNormalization", {"a", "gamma", "beta", "mean", "var"}, "r"));
  EXPECT_TRUE(
      test::import_checked(model, {})
          .model.card.neutral_norms.empty());  // every convolution has a bias: it is a habit
  model.graph.nodes[3].inputs.pop_back();
  EXPECT_EQ(test::import_checked(model, {}).model.card.neutral_norms,
            std::vector<std::string>{"c_node/norm"});
  model.graph.nodes[1].op_type = "Identity";
  model.graph.nodes[2].inputs[0] = "c";
  const Imported own = test::import_checked(model, {});
  EXPECT_TRUE(own.model.card.neutral_norms.empty());
  EXPECT_NE(own.certificate.biases.find("behind other convolutions"), std::string::npos)
      << own.certificate.biases;
}

TEST(GraphImport, CardsKeepInfinities) {
  GraphSource source;
  source.inputs.push_back({.name = "x"});
  source.outputs = {"y"};
  const float infinity = std::numeric_limits<float>::infinity();
  source.nodes = {node_of("Clip", {"x"}, "y",
                          {{.name = "max", .type = AttributeType::float_, .f = infinity},
                           {.name = "more",
                            .type = AttributeType::floats,
                            .floats = {-infinity, std::nanf(""), 0.5f}}})};
  const GraphSource again = graph_from_json(graph_to_json(source));
  EXPECT_EQ(again.nodes.at(0).find("max")->f, infinity);
  const std::vector<float>& more = again.nodes[0].find("more")->floats;
  ASSERT_EQ(more.size(), 3u);
  EXPECT_EQ(more[0], -infinity);
  EXPECT_TRUE(std::isnan(more[1]));
  EXPECT_EQ(more[2], 0.5f);
}

// Wide products of constants cost more than any file's size says: they run with the graph.
TEST(GraphImport, OnlySmallProductsAreFolded) {
  io::onnx::Model model = classifier();
  add_tensor(model, "a", Tensor::zeros({1, 4100}));
  add_tensor(model, "b", Tensor::zeros({4100, 1}));
  model.graph.nodes.push_back(node_of("MatMul", {"b", "a"}, "wide"));
  model.graph.nodes.push_back(node_of("MatMul", {"fc.weight", "mean"}, "narrow"));
  model.graph.outputs.push_back({.name = "wide"});
  model.graph.outputs.push_back({.name = "narrow"});
  const GraphSource source = read_graph(model);
  const auto folded = [&](const std::string& value) {
    return std::any_of(source.tensors.begin(), source.tensors.end(),
                       [&](const GraphTensor& tensor) { return tensor.name == value; });
  };
  EXPECT_FALSE(folded("wide"));
  EXPECT_TRUE(folded("narrow"));
}

TEST(GraphImport, IsComparedWithTheNodesOfItsFile) {
  const TemporaryFolder folder;
  const auto doubted = [](const Certificate& certificate) {
    return std::any_of(
        certificate.doubts.begin(), certificate.doubts.end(), [](const std::string& doubt) {
          return doubt.find("does not compute what the source graph does") != std::string::npos;
        });
  };
  io::onnx::write_model(folder / "folded.onnx", folded_residual());
  Imported imported = test::import_checked(folder / "folded.onnx");
  EXPECT_NE(imported.certificate.comparison.find("[2,5], largest difference"), std::string::npos)
      << imported.certificate.to_text();
  EXPECT_FALSE(doubted(imported.certificate));
  // A model of graft as .onnx holds both nodes and a card: whoever changed the nodes is found out.
  io::onnx::Model exported = to_onnx(*imported.model.network, imported.model.card);
  io::onnx::write_model(folder / "own.onnx", exported);
  const Certificate own = test::import_checked(folder / "own.onnx").certificate;
  EXPECT_NE(own.comparison.find("[2,5], largest difference"), std::string::npos) << own.to_text();
  EXPECT_FALSE(doubted(own));
  for (auto& node : exported.graph.nodes)
    if (node.op_type == "Relu") node.op_type = "Sigmoid";
  io::onnx::write_model(folder / "changed.onnx", exported);
  EXPECT_TRUE(doubted(test::import_checked(folder / "changed.onnx").certificate));
}

TEST(GraphImport, DamagedCardsAreRefused) {
  Imported imported = test::import_checked(classifier(), {});
  const TemporaryFolder folder;
  const StateDict state = imported.model.network->state_dict();
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"op\":\"Relu\"", "\"op\":\"Wobble\""},
           {"\"in\":[\"n\"]", "\"in\":[\"q\"]"},
           {"\"shape\":[5,4]", "\"shape\":[5,4000000000]"},
           {"\"role\":\"buffer\"", "\"role\":\"bugger\""},
           {"\"outputs\":[\"y\"]", "\"outputs\":[]"},
           {"\"dtype\":\"float32\"", "\"dtype\":\"float99\""}}) {
    std::string card = imported.model.card.to_json();
    ASSERT_NE(card.find(from), std::string::npos) << from;
    card.replace(card.find(from), from.size(), to);
    io::write_safetensors(folder / "m.safetensors", state,
                          {{"format", "pt"}, {"graft.card", card}});
    try {
      load_model(folder / "m.safetensors");
      FAIL() << to;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    }
  }
}

// x [n,3,32,32] -> 40 times its own concatenation: 2^40 rows of a file of 1.6 kB.
io::onnx::Model doubling_chain() {
  io::onnx::Model model = classifier();
  model.graph.initializers.clear();
  model.graph.nodes = {node_of("Add", {"data", "data"}, "a0")};
  for (int i = 0; i < 40; ++i)
    model.graph.nodes.push_back(node_of("Concat", {str("a", i), str("a", i)}, str("a", i + 1),
                                        {{.name = "axis", .type = AttributeType::int_, .i = 2}}));
  model.graph.nodes.push_back(node_of("Relu", {"a40"}, "prob"));
  return model;
}

TEST(GraphImport, AGraphThatGrowsWithoutEndIsNotExecuted) {
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "chain.onnx", doubling_chain());
  cpu_allocator().release_cached();
  cpu_allocator().reset_peak();
  const int64_t before = cpu_allocator().stats().peak_bytes;
  try {
    test::import_checked(folder / "chain.onnx", {.check_bytes = 4 << 20});
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string words = error.what();
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(words.find("the graph was not executed: with 2 images of 3x16x16 it would hold more "
                         "than the 4 MiB"),
              std::string::npos)
        << words;
  }
  EXPECT_LE(cpu_allocator().stats().peak_bytes - before, 5 << 20);
}

// Values that nothing reads any more are not held: a chain of 60 maps of 6 kB needs a few of them.
TEST(GraphImport, AChainHoldsAFewValuesAtOnce) {
  io::onnx::Model model = classifier();
  std::string last = "data";
  std::vector<Node> chain;
  for (int i = 0; i < 60; ++i) {
    chain.push_back(node_of("Relu", {last}, str("s", i)));
    last = str("s", i);
  }
  model.graph.nodes[0].inputs[0] = last;
  model.graph.nodes.insert(model.graph.nodes.begin(), chain.begin(), chain.end());
  EXPECT_EQ(refused(model, {.check_bytes = 96 << 10}), "");
  EXPECT_NE(refused(model, {.check_bytes = 8 << 10}), "");
}

}  // namespace
}  // namespace graft::models
