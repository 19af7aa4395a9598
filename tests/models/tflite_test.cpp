// TensorFlow Lite's models (tests/golden/make_tensorflow.py): answers and gradients are
// TensorFlow's, an image's answer is its answer in a batch, and what leaves as ONNX is the same
// network.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/tflite/model.h"
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/models/tensorflow/tflite_graph.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

std::string lite_file(const std::string& name) {
  return str(GRAFT_TEST_DATA "/tflite/", name, ".tflite");
}

const StateDict& lite_answers() {
  static const StateDict tensors =
      io::read_weights(GRAFT_TEST_DATA "/tflite/answers.safetensors").tensors;
  return tensors;
}

Tensor lite_golden(const std::string& name, const std::string& what) {
  return lite_answers().at(name + "." + what);
}
// A quantized model has the images and the answers of the one that it was made of.
std::string lite_base(const std::string& name) { return name.substr(0, name.find('_')); }

struct LiteCase {
  const char* name;
  double run = 1e-4;     // how near `run` is to the interpreter's answers
  double logits = 1e-4;  // how near the network is to the float model
};
void PrintTo(const LiteCase& c, std::ostream* out) { *out << c.name; }

class LiteModels : public testing::TestWithParam<LiteCase> {};

TEST_P(LiteModels, RunAnswersAsTheInterpreter) {
  const NoGradGuard no_grad;
  const std::string name = GetParam().name;
  GraphModule module(read_graph(onnx_graph(io::tflite::read_model(lite_file(name)))));
  module.train(false);
  const Tensor x[] = {lite_golden(lite_base(name), "x")};
  const Tensor y = module.run(x)[0], expected = lite_golden(name, "y");
  ASSERT_EQ(y.shape(), expected.shape());
  EXPECT_LE(test::relative_error(y.to_doubles(), expected.to_doubles()), GetParam().run);
}

TEST_P(LiteModels, ImportAsNetworks) {
  const NoGradGuard no_grad;
  const std::string name = GetParam().name;
  const Imported imported = test::import_checked(lite_file(name));
  const Certificate& c = imported.certificate;
  EXPECT_NE(c.naming.find("a TensorFlow Lite model"), std::string::npos) << c.naming;
  EXPECT_NE(c.comparison, "") << join(c.notes, "\n");
  EXPECT_EQ(join(c.doubts).find("does not compute"), std::string::npos) << join(c.doubts);
  const Tensor x = lite_golden(lite_base(name), "x").to(MemoryFormat::channels_last);
  const Tensor z = imported.model.network->forward(x);
  if (name == "upsampling") {  // maps are a backbone's: pooled
    EXPECT_EQ(z.shape(), Shape({2, 2}));
  } else {
    const Tensor expected = lite_golden(lite_base(name), "z");
    ASSERT_EQ(z.shape(), expected.shape());
    EXPECT_LE(test::relative_error(z.to_doubles(), expected.to_doubles()), GetParam().logits);
  }
  const std::vector<double> all = z.to_doubles();
  for (int64_t i = 0; i < x.size(0); ++i) {
    const std::vector<double> alone =
        imported.model.network->forward(x.narrow_batch(i, 1)).to_doubles();
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + i * std::ssize(alone)))
        << "image " << i << " is answered otherwise than in a batch";
  }
  const TemporaryFolder folder;
  save_model(folder / "m.safetensors", *imported.model.network, imported.model.card);
  EXPECT_EQ(load_model(folder / "m.safetensors").network->forward(x).to_doubles(), all);
  io::onnx::write_model(folder / "m.onnx", to_onnx(*imported.model.network, imported.model.card));
  GraphModule exported(read_graph(io::onnx::read_model(folder / "m.onnx")));
  exported.train(false);
  EXPECT_LE(test::relative_error(exported.run(std::vector{x})[0].to_doubles(), all), 1e-5);
}

// Models without norms, which are folded into weights.
class LiteGradients : public testing::TestWithParam<const char*> {};

TEST_P(LiteGradients, AreTensorFlows) {
  const std::string name = GetParam();
  io::onnx::Model graph = onnx_graph(io::tflite::read_model(lite_file(name)));
  // Without the activation at its end.
  const std::string& last = graph.graph.nodes.back().op_type;
  if (last == "Softmax" || last == "LogSoftmax")
    graph.graph.outputs[0].name = graph.graph.nodes.back().inputs[0];
  GraphModule network(read_graph(graph, {.as_network = true}));
  network.train(false);
  const Tensor z = network.run(std::vector{lite_golden(name, "x")})[0];
  backward(functional::reduce(functional::mul(z, lite_golden(name, "r").to(z.format())),
                              {.function = ops::Reduce::sum}));
  size_t compared = 0, stored = 0;
  for (int at = 0; lite_answers().contains(str(name, ".w.", at)); ++at, ++stored) {
    const std::vector<double> w = lite_golden(name, str("w.", at)).to_doubles();
    for (const auto& [path, tensor] : network.parameters()) {
      if (tensor.to_doubles() != w) continue;
      const Tensor gradient = grad_of(tensor);
      ASSERT_TRUE(gradient.defined()) << path;
      EXPECT_LE(test::relative_error(gradient.to_doubles(),
                                     lite_golden(name, str("d.", at)).to_doubles()),
                1e-3)
          << path;
      ++compared;
      break;
    }
  }
  EXPECT_EQ(compared, stored) << "weights that are no parameters of the network";
  EXPECT_GE(compared, 4u);
}

INSTANTIATE_TEST_SUITE_P(
    TensorFlow, LiteModels,
    testing::Values(LiteCase{"plain"}, LiteCase{"mobile"}, LiteCase{"residual"}, LiteCase{"pads"},
                    LiteCase{"pools"}, LiteCase{"transposed"}, LiteCase{"upsampling"},
                    LiteCase{"activations"}, LiteCase{"dense"}, LiteCase{"attention"},
                    LiteCase{"mobile_fp16", 1e-4, 2e-3}, LiteCase{"dense_dynamic", 0.03, 0.03},
                    LiteCase{"plain_int8", 0.03, 0.1}, LiteCase{"mobile_uint8", 0.03, 0.1},
                    LiteCase{"residual_int8", 0.03, 0.1}),
    [](const auto& test_case) { return std::string(test_case.param.name); });

INSTANTIATE_TEST_SUITE_P(TensorFlow, LiteGradients,
                         testing::Values("pads", "pools", "transposed", "upsampling", "activations",
                                         "dense", "attention"));

bool lite_says(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

TEST(LiteModel, WhatIsGuessedAndConvertedIsSaid) {
  const Imported quantized = import_weights(lite_file("plain_int8"));
  EXPECT_TRUE(lite_says(quantized.certificate.notes, "is INT8 of"));
  EXPECT_TRUE(lite_says(quantized.certificate.notes, "quantizers became Clips"));
  EXPECT_NE(quantized.certificate.preprocess.what.find("quantized input holds"), 0u);
  EXPECT_NEAR(quantized.model.card.preprocess.scale, 1.0 / 255, 1e-9);
  EXPECT_FALSE(quantized.certificate.preprocess.known);
  const Imported halves = import_weights(lite_file("mobile_fp16"));
  EXPECT_TRUE(lite_says(halves.certificate.notes, "tensors are float16"));
  const Imported dynamic = import_weights(lite_file("dense_dynamic"));
  EXPECT_TRUE(lite_says(dynamic.certificate.notes, "dynamic-range quantization"));
}

TEST(LiteModel, ItsFileIsAlsoWeights) {
  const io::WeightFile file = io::read_weights(lite_file("plain"));
  EXPECT_EQ(file.format, "tflite");
  EXPECT_EQ(file.metadata.at("producer_name"), "MLIR Converted.");
  EXPECT_GE(file.tensors.size(), 6u);
}

TEST(LiteModel, TrainsAndTakesAHead) {
  Imported imported = import_weights(lite_file("mobile"));
  replace_head(imported.model, 3, 1);
  StagedNetwork& network = *imported.model.network;
  network.train(true);
  const Tensor x = lite_golden("mobile", "x").to(MemoryFormat::channels_last);
  backward(functional::cross_entropy(network.forward(x), Tensor::of<int64_t>({2}, {0, 2})));
  for (const auto& [path, tensor] : network.parameters())
    EXPECT_TRUE(grad_of(tensor).defined()) << path;
}

std::string refused_lite(const io::tflite::Model& model) {
  try {
    onnx_graph(model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(LiteModel, UnknownOperatorsAreNamedAllAtOnce) {
  io::tflite::Model model = io::tflite::read_model(lite_file("plain"));
  model.operators[0].name = "custom 'Mine'";
  model.operators[1].name = "LSTM";
  const std::string sentence = refused_lite(model);
  for (const char* word : {"plain.tflite", "custom 'Mine' (operator 0)", "LSTM (operator 1)"})
    EXPECT_NE(sentence.find(word), std::string::npos) << sentence;
}

TEST(LiteModel, WhatMixesImagesIsRefused) {
  io::tflite::Model model = io::tflite::read_model(lite_file("mobile"));
  const auto mean = std::find_if(model.operators.begin(), model.operators.end(),
                                 [](const auto& op) { return op.name == "MEAN"; });
  ASSERT_NE(mean, model.operators.end());
  model.tensors[static_cast<size_t>(mean->inputs[1])].value = Tensor::of<int64_t>({1}, {0});
  EXPECT_NE(refused_lite(model).find("mixes the images of a batch"), std::string::npos);
}

TEST(LiteModel, AnArgMaxAtTheEndIsLeftOut) {
  io::tflite::Model model = io::tflite::read_model(lite_file("plain"));
  io::tflite::StoredTensor winner;
  winner.name = "winner";
  winner.type = io::tflite::Type::int64;
  model.tensors.push_back(winner);
  io::tflite::Operator choice;
  choice.name = "ARG_MAX";
  choice.inputs = model.outputs;
  choice.outputs = {std::ssize(model.tensors) - 1};
  model.operators.push_back(choice);
  model.outputs = choice.outputs;
  model.signature.clear();
  const io::onnx::Model graph = onnx_graph(model);
  EXPECT_TRUE(lite_says(graph.notes, "ArgMax at the model's end is left out"));
  EXPECT_EQ(graph.graph.nodes.back().op_type, "Softmax");
}

// Each byte of a file changed and each length: an error or a graph, never anything else.
TEST(LiteModel, DamagedFilesEndInErrors) {
  std::vector<std::byte> bytes = read_file(lite_file("dense_dynamic"), 1 << 20);
  size_t refused = 0, tried = 0;
  const auto read = [&](std::span<const std::byte> part) {
    ++tried;
    try {
      onnx_graph(io::tflite::parse_model(part, "m.tflite"));
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
      ++refused;
    }
  };
  for (size_t length = 0; length < bytes.size(); length += 61) read(std::span(bytes).first(length));
  EXPECT_EQ(refused, tried);
  for (size_t at = 0; at < bytes.size(); at += 13) {
    const std::byte kept = bytes[at];
    for (const int value : {0, 1, 0x7f, 0xff}) {
      bytes[at] = static_cast<std::byte>(value);
      read(bytes);
    }
    bytes[at] = kept;
  }
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace graft::models
