// Keras models of any shape against what Keras computes with them
// (tests/data/keras/make_graphs.py): answers, a step's gradients, and that they train, are kept and
// exported like other graphs; what is left out or refused is said.
#include "graft/models/keras/keras_graph.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/io/weights/hdf5.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/functional/movement.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

std::string keras_graph_file(const std::string& name) {
  return GRAFT_TEST_DATA "/keras/graphs/" + name + ".safetensors";
}

const StateDict& keras_answers() {
  static const StateDict tensors = io::read_weights(keras_graph_file("answers")).tensors;
  return tensors;
}

Tensor golden(const std::string& name, const char* what) {
  return keras_answers().at(name + "." + what);
}

std::unique_ptr<GraphModule> keras_module(const std::string& name) {
  const io::WeightFile file = io::read_weights(keras_graph_file(name));
  auto module = std::make_unique<GraphModule>(
      read_graph(keras::read_keras_graph(file).model, {.as_network = true}));
  module->train(false);
  return module;
}

struct KerasGraphCase {
  const char* name;
  const char* naming;   // a part of what the certificate says
  bool logits = true;   // its answers are the network's own, without an activation behind
  bool trains = false;  // with gradients to compare
};
void PrintTo(const KerasGraphCase& c, std::ostream* out) { *out << c.name; }

class KerasGraphs : public ::testing::TestWithParam<KerasGraphCase> {};

TEST_P(KerasGraphs, AnswersAreKeras) {
  const NoGradGuard no_grad;
  const std::string name = GetParam().name;
  const Tensor x[] = {golden(name, "x")};
  const Tensor y = keras_module(name)->run(x)[0];
  Tensor expected = golden(name, "y");
  if (expected.rank() == 4)  // an image: graft's have their channels first
    expected = functional::transpose(expected, std::vector<int>{0, 3, 1, 2});
  ASSERT_EQ(y.shape(), expected.shape());
  EXPECT_LE(test::relative_error(y.to_doubles(), expected.to_doubles()), 1e-5);
}

// As import makes it: with the check that an image's answer is its answer in any batch.
TEST_P(KerasGraphs, ImportsAsANetwork) {
  const NoGradGuard no_grad;
  const std::string name = GetParam().name;
  // A table has rows for some numbers only, and the check's images are of any.
  const Imported imported = name == "embedding" ? import_weights(keras_graph_file(name))
                                                : test::import_checked(keras_graph_file(name));
  const Certificate& c = imported.certificate;
  EXPECT_NE(c.naming.find(GetParam().naming), std::string::npos) << c.naming;
  EXPECT_TRUE(c.unused.empty()) << join(c.unused);
  EXPECT_TRUE(imported.model.card.neutral_norms.empty());
  const Tensor x = golden(name, "x").to(MemoryFormat::channels_last);
  const Tensor y = imported.model.network->forward(x);
  if (GetParam().logits) {
    EXPECT_LE(test::relative_error(y.to_doubles(), golden(name, "y").to_doubles()), 1e-5);
  }

  const std::vector<double> all = y.to_doubles();
  for (int64_t i = 0; i < x.size(0); ++i) {
    const std::vector<double> alone =
        imported.model.network->forward(x.narrow_batch(i, 1)).to_doubles();
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + i * std::ssize(alone)))
        << "image " << i << " is answered otherwise than in a batch";
  }

  const TemporaryFolder folder;
  save_model(folder / "m.safetensors", *imported.model.network, imported.model.card);
  const Model kept = load_model(folder / "m.safetensors");
  EXPECT_EQ(kept.network->forward(x).to_doubles(), all);
}

INSTANTIATE_TEST_SUITE_P(
    Keras, KerasGraphs,
    ::testing::Values(KerasGraphCase{"convolutions",
                                     "Keras 3.15.1, a Functional model of 13 layers", true, true},
                      KerasGraphCase{"transposed", "Keras 3", true, true},
                      KerasGraphCase{"sequence", "Keras 3", true, true},
                      KerasGraphCase{"volume", "Keras 3", true, true},
                      KerasGraphCase{"norms", "Keras 3", true, true},
                      KerasGraphCase{"activations", "Keras 3", true, true},
                      KerasGraphCase{"merging", "Keras 3", true, true},
                      KerasGraphCase{"nested", "Keras 3", true, true},
                      KerasGraphCase{"nested_h5", "Keras 3", true},
                      KerasGraphCase{"prepared", "a Sequential model", false},
                      KerasGraphCase{"embedding", "Keras 3", true, true},
                      KerasGraphCase{"unet", "Keras 3", false},
                      KerasGraphCase{"channels_first", "Keras 3", true, true},
                      KerasGraphCase{"old", "Keras 2", false},
                      KerasGraphCase{"old_keras", "Keras 2", false}),
    [](const auto& test_case) { return std::string(test_case.param.name); });

class KerasGradients : public ::testing::TestWithParam<const char*> {};

TEST_P(KerasGradients, AStepsAreKeras) {
  const std::string name = GetParam();
  const auto module = keras_module(name);
  module->train(true);
  const Tensor x[] = {golden(name, "x")};
  const Tensor y = module->run(x)[0];
  backward(
      functional::reduce(functional::mul(y, golden(name, "r")), {.function = ops::Reduce::sum}));
  int compared = 0;
  for (const auto& [path, tensor] : module->parameters()) {
    const Tensor expected = keras_answers().find(name + ".d." + path);
    if (!expected.defined()) continue;
    ++compared;
    ASSERT_EQ(expected.numel(), tensor.numel()) << path;
    const std::vector<double> dw = grad_of(tensor).to_doubles();
    // The norm behind this shift removes it: its gradient is 0, and what is found is rounding.
    if (name == "norms" && path == "rows/beta")
      for (const double value : dw) EXPECT_LT(std::abs(value), 1e-5) << path;
    else
      EXPECT_LE(test::relative_error(dw, expected.to_doubles()), 1e-3) << path;
  }
  int stored = 0;
  for (const auto& [key, tensor] : keras_answers()) stored += key.starts_with(name + ".d.");
  EXPECT_EQ(compared, stored) << "gradients of tensors that the network does not have";
  EXPECT_GE(compared, 2);
}

INSTANTIATE_TEST_SUITE_P(Keras, KerasGradients,
                         ::testing::Values("convolutions", "transposed", "sequence", "volume",
                                           "norms", "activations", "merging", "nested", "embedding",
                                           "channels_first"));

// A step of training, kept and read again: the same bits. Exported: the same answers.
TEST(KerasGraph, TrainsIsKeptAndExported) {
  const TemporaryFolder folder;
  Imported imported = import_weights(keras_graph_file("convolutions"));
  replace_head(imported.model, 3, 1);
  StagedNetwork& network = *imported.model.network;
  network.train(true);
  const Tensor x = golden("convolutions", "x").to(MemoryFormat::channels_last);
  backward(functional::cross_entropy(network.forward(x), Tensor::of<int64_t>({3}, {0, 1, 2})));
  int moved = 0;
  for (auto& [path, tensor] : network.parameters()) {
    const Tensor gradient = grad_of(tensor);
    ASSERT_TRUE(gradient.defined()) << path;
    const std::vector<double> before = tensor.to_doubles(), by = gradient.to_doubles();
    std::vector<double> after(before.size());
    for (size_t i = 0; i < before.size(); ++i) after[i] = before[i] - 0.1 * by[i];
    moved += after != before;
    Tensor(tensor).copy_from(Tensor::of(tensor.shape(), after).to(DType::f32));
  }
  EXPECT_GT(moved, 10);
  network.train(false);
  const NoGradGuard no_grad;
  const Tensor y = network.forward(x);
  save_model(folder / "m.safetensors", network, imported.model.card);
  EXPECT_EQ(load_model(folder / "m.safetensors").network->forward(x).to_doubles(), y.to_doubles());

  io::onnx::write_model(folder / "m.onnx", to_onnx(network, imported.model.card));
  GraphModule exported(read_graph(io::onnx::read_model(folder / "m.onnx")));
  exported.train(false);
  EXPECT_LE(test::relative_error(exported.run(std::vector{x})[0].to_doubles(), y.to_doubles()),
            1e-6);
}

TEST(KerasGraph, IsCutBehindALayerByItsName) {
  const NoGradGuard no_grad;
  const Imported imported = import_weights(keras_graph_file("convolutions"), {.cut = "separable"});
  EXPECT_EQ(std::get<GraphConfig>(imported.model.card.architecture).features, 8);
  EXPECT_EQ(imported.model.network->forward(golden("convolutions", "x")).shape(), Shape({3, 8}));
}

bool says(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

TEST(KerasGraph, WhatPreparesItsImagesIsUsed) {
  const NoGradGuard no_grad;
  const Imported imported = import_weights(keras_graph_file("prepared"));
  const io::Preprocess& p = imported.model.card.preprocess;
  EXPECT_TRUE(imported.certificate.preprocess.known);
  EXPECT_EQ(p.size, 8);
  EXPECT_EQ(p.fit(), "squash");
  EXPECT_NEAR(p.scale, 1, 1e-9);  // the Rescaling stands in the graph
  EXPECT_FALSE(p.bgr);
  const auto& notes = imported.certificate.notes;
  EXPECT_TRUE(says(notes, "Resizing 'resizing'")) << join(notes, "\n");
  EXPECT_TRUE(says(notes, "vary images in training are left out: random_flip"));
  EXPECT_TRUE(says(notes, "GaussianNoise 'gaussian_noise'"));
  EXPECT_TRUE(says(notes, "two classes"));
  // The sigmoid of one output is the second class's probability.
  const Tensor logits = imported.model.network->forward(golden("prepared", "x"));
  ASSERT_EQ(logits.shape(), Shape({3, 2}));
  const std::vector<double> found = functional::softmax(logits, 1).to_doubles(),
                            wanted = golden("prepared", "y").to_doubles();
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[2 * i + 1], wanted[i], 1e-5);
}

TEST(KerasGraph, WithoutSuchLayersItsImagesAreGuessed) {
  const Imported imported = import_weights(keras_graph_file("transposed"));
  EXPECT_FALSE(imported.certificate.preprocess.known);
  EXPECT_NEAR(imported.model.card.preprocess.scale, 1.0 / 255, 1e-12);
  EXPECT_EQ(imported.model.card.preprocess.mean[0], 0);
}

// --- what is refused, in one sentence ---

std::string one_layer(const std::string& layer) {
  return R"({"class_name":"Sequential","config":{"name":"m","layers":[{"class_name":"InputLayer",)"
         R"("config":{"name":"in","batch_shape":[null,8,8,3]}},)" +
         layer + "]}}";
}

std::string refusal_of(const std::string& config) {
  io::WeightFile file;
  file.path = "m.keras";
  file.format = "keras";
  file.metadata[io::kKerasConfigKey] = config;
  try {
    keras::read_keras_graph(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "nothing was refused";
}

TEST(KerasDescription, WhatIsNotKnownIsRefusedByName) {
  const std::pair<std::string, const char*> cases[] = {
      {one_layer(R"({"class_name":"Lambda","config":{"name":"twice","function":["4wEAAA"]}})"),
       "Lambda 'twice' (Python code"},
      {one_layer(R"({"class_name":"Mine","module":"my_project","registered_name":"pack>Mine",)"
                 R"("config":{"name":"own"}})"),
       "Mine 'own' (a custom class"},
      // A class of someone's own under Keras' name.
      {one_layer(R"({"class_name":"ReLU","module":"my_project","config":{"name":"own"}})"),
       "ReLU 'own' (a custom class"},
      {one_layer(R"({"class_name":"LSTM","config":{"name":"memory"}})"), "LSTM 'memory'"},
      {one_layer(R"({"class_name":"Activation","config":{"name":"a","activation":"sparsemax"}})"),
       "its activation 'sparsemax'"},
      {one_layer(R"({"class_name":"Conv2D","config":{"name":"c","filters":2,"kernel_size":3}})"),
       "no kernel for the layer 'c'"},
      {one_layer(R"({"class_name":"MaxPooling2D","config":{"name":"p","pool_size":9}})"),
       "MaxPooling2D 'p': its window of 9 is larger"},
      {one_layer(R"({"class_name":"Reshape","config":{"name":"r","target_shape":[5,7]}})"),
       "Reshape 'r'"},
      {one_layer(R"({"class_name":"Permute","config":{"name":"p","dims":[1,1,2]}})"), "no order"},
      {R"({"class_name":"Own","config":{"name":"m"}})", "put together by Python code"},
      {R"({"class_name":"Sequential","config":{"name":"m","layers":[]}})", "shape of its input"},
      {R"({"class_name":"Functional","config":{"name":"m","layers":[{"class_name":"InputLayer",)"
       R"("config":{"batch_shape":[null,8,8,3],"name":"i"},"name":"i","inbound_nodes":[]},)"
       R"({"class_name":"ReLU","config":{"name":"a"},"name":"a","inbound_nodes":[[["b",0,0,{}]]]},)"
       R"({"class_name":"ReLU","config":{"name":"b"},"name":"b","inbound_nodes":[[["a",0,0,{}]]]}],)"
       R"("input_layers":[["i",0,0]],"output_layers":[["b",0,0]]}})",
       "form a cycle or lead nowhere"},
      {"{", "cannot be read"},
      {std::string(100, '['), "deeper than 64"},
      {one_layer(R"({"class_name":"ReLU","config":{"name":")" + std::string(300, 'x') + R"("}})"),
       "more than 256 bytes"},
      {one_layer(R"({"class_name":"ZeroPadding2D","config":{"name":"z","padding":1e18}})"),
       "not a whole number of usual size"}};
  for (const auto& [config, part] : cases)
    EXPECT_NE(refusal_of(config).find(part), std::string::npos)
        << part << ": " << refusal_of(config);
}

// A hundred bytes that ask for a graph without end: models that call models.
TEST(KerasDescription, ModelsWithinModelsAreBounded) {
  std::string inner =
      R"({"class_name":"ReLU","config":{"name":"r"},"name":"r","inbound_nodes":[[["i",0,0,{}]]]})";
  std::string last = "r";
  for (int depth = 0; depth < 6; ++depth) {
    const std::string name = str("m", depth);
    std::string nodes = R"([["i",0,0,{}]])";
    for (int call = 1; call < 10; ++call)
      nodes += str(R"(,[[")", name, R"(",)", call, R"(,0,{}]])");
    inner = str(R"({"class_name":"Functional","name":")", name, R"(","config":{"name":")", name,
                R"(","layers":[{"class_name":"InputLayer","name":"i","config":{"name":"i",)",
                R"("batch_shape":[null,8,8,3]},"inbound_nodes":[]},)", inner,
                R"(],"input_layers":[["i",0,0]],"output_layers":[[")", last, R"(",)",
                depth == 0 ? 0 : 10, R"(,0]]},"inbound_nodes":[)", nodes, "]}");
    last = name;
  }
  EXPECT_NE(refusal_of(inner).find("more than 1000 times"), std::string::npos) << refusal_of(inner);
}

// A family's layers in another network: it is run as the graph that it is, and this is said.
TEST(KerasDescription, ANetworkThatOnlyHasNamesOfAFamilyIsAGraph) {
  io::WeightFile file = io::read_weights(keras_graph_file("unet"));
  std::string& config = file.metadata.at(io::kKerasConfigKey);
  for (size_t at = config.find("\"down1\""); at != std::string::npos;
       at = config.find("\"down1\"", at))
    config.replace(at, 7, "\"block1_conv1\"");  // VGG's first
  for (auto& [key, text] : file.metadata)
    if (text == "down1") text = "block1_conv1";
  const TemporaryFolder folder;
  io::write_safetensors(folder / "m.safetensors", file.tensors, file.metadata);
  const Imported imported = test::import_checked(folder / "m.safetensors");
  EXPECT_TRUE(std::holds_alternative<GraphConfig>(imported.model.card.architecture));
  EXPECT_TRUE(says(imported.certificate.notes, "none of graft's own networks"))
      << join(imported.certificate.notes, "\n");
}

}  // namespace
}  // namespace graft::models
