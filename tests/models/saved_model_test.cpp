// SavedModels (tests/golden/make_tensorflow.py): answers and gradients are TensorFlow's, an image's
// answer is its answer in a batch; checkpoints and function calls are bounded.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/saved_model/bundle.h"
#include "graft/io/saved_model/model.h"
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/models/tensorflow/saved_model_graph.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

std::string saved_folder(const std::string& name) {
  return str(GRAFT_TEST_DATA "/saved_model/", name);
}

const StateDict& saved_answers() {
  static const StateDict tensors =
      io::read_weights(GRAFT_TEST_DATA "/saved_model/answers.safetensors").tensors;
  return tensors;
}

Tensor saved_golden(const std::string& name, const std::string& what) {
  return saved_answers().at(name + "." + what);
}

bool saved_says(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

class SavedModels : public testing::TestWithParam<const char*> {};

TEST_P(SavedModels, RunAnswersAsServingDoes) {
  const NoGradGuard no_grad;
  const std::string name = GetParam();
  GraphModule module(read_graph(onnx_graph(io::saved_model::read_model(saved_folder(name)))));
  module.train(false);
  const Tensor y = module.run(std::vector{saved_golden(name, "x")})[0],
               expected = saved_golden(name, "y");
  ASSERT_EQ(y.shape(), expected.shape());
  EXPECT_LE(test::relative_error(y.to_doubles(), expected.to_doubles()), 1e-4);
}

TEST_P(SavedModels, ImportAsNetworks) {
  const NoGradGuard no_grad;
  const std::string name = GetParam();
  const Imported imported = test::import_checked(saved_folder(name));
  const Certificate& c = imported.certificate;
  EXPECT_NE(c.naming.find("a SavedModel of TensorFlow 2.21.0, signature 'serving_default'"),
            std::string::npos)
      << c.naming;
  EXPECT_NE(c.comparison, "") << join(c.notes, "\n");
  const Tensor x = saved_golden(name, "x").to(MemoryFormat::channels_last);
  const Tensor z = imported.model.network->forward(x);
  const Tensor expected = saved_golden(name, "z");
  ASSERT_EQ(z.shape(), expected.shape());
  EXPECT_LE(test::relative_error(z.to_doubles(), expected.to_doubles()), 1e-4);
  const TemporaryFolder folder;
  save_model(folder / "m.safetensors", *imported.model.network, imported.model.card);
  EXPECT_EQ(load_model(folder / "m.safetensors").network->forward(x).to_doubles(), z.to_doubles());
  io::onnx::write_model(folder / "m.onnx", to_onnx(*imported.model.network, imported.model.card));
  GraphModule exported(read_graph(io::onnx::read_model(folder / "m.onnx")));
  exported.train(false);
  EXPECT_LE(test::relative_error(exported.run(std::vector{x})[0].to_doubles(), z.to_doubles()),
            1e-5);
}

TEST_P(SavedModels, GradientsAreTensorFlows) {
  const std::string name = GetParam();
  io::onnx::Model graph = onnx_graph(io::saved_model::read_model(saved_folder(name)));
  const std::string& last = graph.graph.nodes.back().op_type;
  if (last == "Softmax" || last == "Sigmoid")
    graph.graph.outputs[0].name = graph.graph.nodes.back().inputs[0];
  GraphModule network(read_graph(graph, {.as_network = true}));
  network.train(false);
  const Tensor z = network.run(std::vector{saved_golden(name, "x")})[0];
  backward(functional::reduce(functional::mul(z, saved_golden(name, "r").to(z.format())),
                              {.function = ops::Reduce::sum}));
  size_t compared = 0, stored = 0;
  for (int at = 0; saved_answers().contains(str(name, ".w.", at)); ++at, ++stored) {
    const std::vector<double> w = saved_golden(name, str("w.", at)).to_doubles();
    for (const auto& [path, tensor] : network.parameters()) {
      if (tensor.to_doubles() != w) continue;
      const Tensor gradient = grad_of(tensor);
      ASSERT_TRUE(gradient.defined()) << path;
      EXPECT_LE(test::relative_error(gradient.to_doubles(),
                                     saved_golden(name, str("d.", at)).to_doubles()),
                1e-3)
          << path;
      ++compared;
      break;
    }
  }
  EXPECT_EQ(compared, stored) << "weights that are no parameters of the network";
  EXPECT_GE(compared, 4u);
}

INSTANTIATE_TEST_SUITE_P(TensorFlow, SavedModels, testing::Values("residual", "pads"));

TEST(SavedModel, ItsFileIsAlsoWeights) {
  const io::WeightFile file = io::read_weights(saved_folder("residual") + "/saved_model.pb");
  EXPECT_EQ(file.format, "saved_model");
  EXPECT_EQ(file.metadata.at("producer_version"), "2.21.0");
  EXPECT_GE(file.tensors.size(), 10u);
}

TEST(SavedModel, NormsWrittenAsArithmeticAreNorms) {
  const Imported imported = import_weights(saved_folder("residual"));
  const GraphSource& source = *std::get<GraphConfig>(imported.model.card.architecture).source;
  EXPECT_EQ(std::count_if(source.nodes.begin(), source.nodes.end(),
                          [](const auto& node) { return node.op_type == "BatchNormalization"; }),
            2);
  EXPECT_TRUE(saved_says(imported.certificate.notes, "1 norm has no scale or no shift"))
      << join(imported.certificate.notes, "\n");
  const auto parameters = imported.model.network->parameters();
  EXPECT_TRUE(std::any_of(parameters.begin(), parameters.end(),
                          [](const auto& p) { return p.name == "conv0/kernel"; }));
}

std::string refused_saved(const io::saved_model::Model& model) {
  try {
    onnx_graph(model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(SavedModel, WhatIsNotKnownOrDoesNotFitIsRefused) {
  const io::saved_model::Model model = io::saved_model::read_model(saved_folder("pads"));
  const auto changed = [&](const auto& change) {
    io::saved_model::Model copy = model;
    for (auto& [name, function] : copy.functions)
      for (auto& node : function.nodes) change(node);
    return refused_saved(copy);
  };
  const std::string unknown = changed([](auto& node) {
    if (node.op == "Relu") node.op = "StatelessIf";
    if (node.op == "Tanh") node.op = "Mine";
  });
  for (const char* word : {"saved_model.pb", "StatelessIf (node '", "Mine (node '"})
    EXPECT_NE(unknown.find(word), std::string::npos) << unknown;
  io::saved_model::Model empty = model;
  empty.variables = {};
  EXPECT_NE(refused_saved(empty).find("is not in the checkpoint"), std::string::npos);
  // A function that calls itself.
  io::saved_model::Model circle = model;
  for (auto& [name, function] : circle.functions)
    for (auto& node : function.nodes)
      if (node.op.ends_with("PartitionedCall")) node.attributes["f"].text = name;
  EXPECT_NE(refused_saved(circle).find("call each other"), std::string::npos)
      << refused_saved(circle);
  // Nodes in a circle.
  const std::string cycle = changed([](auto& node) {
    if (node.op == "Tanh") node.inputs[0] = node.name + ":y:0";
  });
  EXPECT_NE(cycle.find("cycle"), std::string::npos) << cycle;
}

TEST(SavedModel, DamagedGraphsAndIndicesEndInErrors) {
  const auto damaged = [](const std::string& path, const auto& read) {
    std::vector<std::byte> bytes = read_file(path, 1 << 20);
    size_t refused = 0;
    const auto tried = [&](std::span<const std::byte> part) {
      try {
        read(part);
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
        ++refused;
      }
    };
    for (size_t length = 0; length < bytes.size(); length += 1 + bytes.size() / 150)
      tried(std::span(bytes).first(length));
    for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 300)
      for (const int value : {0, 0x7f, 0xff}) {
        const std::byte kept = bytes[at];
        bytes[at] = static_cast<std::byte>(value);
        tried(bytes);
        bytes[at] = kept;
      }
    return refused;
  };
  const std::string folder = saved_folder("pads");
  EXPECT_GT(damaged(folder + "/saved_model.pb",
                    [](auto bytes) { onnx_graph(io::saved_model::parse_model(bytes, "m.pb")); }),
            100u);
  EXPECT_GT(damaged(folder + "/variables/variables.index",
                    [](auto bytes) { io::saved_model::parse_bundle_index(bytes); }),
            300u);
}

// A variable's numbers are as they were written, or the file is refused.
TEST(SavedModel, DamagedVariablesAreRefused) {
  const TemporaryFolder folder;
  const std::string from = saved_folder("pads"), to = folder / "m";
  file_system().create_directories(to + "/variables");
  for (const char* name : {"/saved_model.pb", "/variables/variables.index",
                           "/variables/variables.data-00000-of-00001"}) {
    std::string content = read_text_file(from + name, 1 << 20);
    if (std::string(name).find("data") != std::string::npos)
      for (size_t at = 0; at < content.size(); at += 40) content[at] ^= 1;
    write_file_atomically(to + name, content);
  }
  try {
    io::read_weights(to);
    ADD_FAILURE() << "it was read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("its checksum is wrong"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace graft::models
