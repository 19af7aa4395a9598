// Graphs that onnxruntime saved after its optimization: its fused operators against its answers
// (tests/data/graphs/make_fused.py), and as networks that train.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/base/error.h"
#include "graft/io/weights/formats.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"
#include "graft/models/graph/graph_module.h"
#include "graft/tests/support/network_formula.h"

namespace graft::models {
namespace {

io::onnx::Model fused_model() { return io::onnx::read_model(GRAFT_TEST_DATA "/graphs/fused.onnx"); }
StateDict fused_answers() { return io::read_weights(GRAFT_TEST_DATA "/graphs/fused.npz").tensors; }

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted,
                 const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], wanted[i], 2e-5 * std::max(1.0, std::abs(wanted[i]))) << what << " " << i;
}

TEST(FusedOperators, AnswerAsInOnnxruntime) {
  for (const bool as_network : {false, true}) {
    const GraphSource source = read_graph(fused_model(), {.as_network = as_network});
    for (const io::onnx::Node& node : source.nodes) EXPECT_EQ(node.domain, "");
    ASSERT_EQ(source.notes.size(), 1u);
    EXPECT_NE(source.notes[0].find("17 fused operators"), std::string::npos) << source.notes[0];
    const std::vector<std::string> outputs = source.outputs;
    GraphModule module(source);
    module.train(false);
    const StateDict stored = fused_answers();
    const std::vector<Tensor> x{stored.at("image"), stored.at("rows"), stored.at("words")};
    const auto results = module.run(x);
    ASSERT_EQ(results.size(), outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i)
      expect_near(results[i].to_doubles(), stored.at(outputs[i]).to_doubles(), outputs[i]);
  }
}

// Only 16-bit kernels of it exist in onnxruntime: beside the same convolution of NCHW images.
TEST(FusedOperators, ConvolutionsOfChannelsLast) {
  io::onnx::Model model = fused_model();
  io::onnx::Node node = model.graph.nodes.at(0);
  node.op_type = "NhwcFusedConv";
  model.graph.nodes = {node};
  model.graph.inputs.resize(1);
  model.graph.outputs.resize(1);
  GraphModule module(read_graph(model));
  const StateDict stored = fused_answers();
  const std::vector<int> last{0, 2, 3, 1}, first{0, 3, 1, 2};
  const Tensor x[] = {functional::transpose(stored.at("image"), last)};
  expect_near(functional::transpose(module.run(x)[0], first).to_doubles(),
              stored.at("FusedConv_0").to_doubles(), "NhwcFusedConv");
}

TEST(FusedOperators, GradientsReachWhatIsFused) {
  GraphModule module(read_graph(fused_model(), {.as_network = true}));
  const StateDict stored = fused_answers();
  const std::vector<Tensor> x{stored.at("image"), stored.at("rows"), stored.at("words")};
  std::vector<Tensor> sums;
  for (const Tensor& y : module.run(x))
    sums.push_back(functional::reduce(functional::mul(y, y), {.function = ops::Reduce::sum}));
  Tensor total = sums[0];
  for (size_t i = 1; i < sums.size(); ++i) total = functional::add(total, sums[i]);
  backward(total);
  size_t trained = 0;
  for (const NamedTensor& p : module.parameters()) {
    const Tensor gradient = grad_of(p.tensor);
    ASSERT_TRUE(gradient.defined()) << p.name;
    const std::vector<double> values = gradient.to_doubles();
    EXPECT_TRUE(std::any_of(values.begin(), values.end(), [](double v) { return v != 0; }))
        << p.name;
    ++trained;
  }
  EXPECT_GE(trained, 6u);
}

TEST(FusedOperators, UnknownActivationsAreRefusedByName) {
  io::onnx::Model model = fused_model();
  for (io::onnx::Attribute& a : model.graph.nodes[0].attributes)
    if (a.name == "activation") a.s = "Softmax";
  try {
    read_graph(model);
    FAIL() << "read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("FusedConv"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace graft::models
