// GraphModule: what is refused, stages, training, and the graphs that stand beside the repository.
#include "graft/models/graph/graph_module.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/io/weights/formats.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/loss.h"
#include "graft/tests/support/full_size.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

Node node(const std::string& op, std::vector<std::string> inputs, std::vector<std::string> outputs,
          std::vector<Attribute> attributes = {}) {
  Node n;
  n.name = outputs.at(0) + "_node";
  n.op_type = op;
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  n.attributes = std::move(attributes);
  return n;
}
Attribute ints(const std::string& name, std::vector<int64_t> values) {
  return {.name = name, .type = AttributeType::ints, .ints = std::move(values)};
}

// x [N,3,H,W] -> conv -> batch norm -> relu -> conv, added to a branch -> pool -> gemm.
io::onnx::Model small_model() {
  io::onnx::Model model;
  model.path = "small.onnx";
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  const auto add = [&](const std::string& name, const Shape& shape, double scale) {
    Tensor value = Tensor::zeros(shape);
    float* data = value.mutable_data<float>();
    for (int64_t i = 0; i < value.numel(); ++i)
      data[i] = static_cast<float>(scale * std::sin(static_cast<double>(i * 7 + 3)));
    io::onnx::NamedTensor tensor;
    tensor.name = name;
    tensor.type = io::onnx::ElementType::float32;
    tensor.value = value;
    model.graph.initializers.push_back(std::move(tensor));
  };
  add("w1", {4, 3, 3, 3}, 0.4);
  add("gamma", {4}, 1);
  add("beta", {4}, 0.3);
  add("mean", {4}, 0.2);
  add("var", {4}, 0);
  model.graph.initializers.back().value.copy_from(Tensor::full({4}, 1.5));
  add("w2", {4, 4, 1, 1}, 0.5);
  add("fc", {2, 4}, 0.6);
  add("b", {2}, 0.1);
  model.graph.nodes = {node("Conv", {"x", "w1"}, {"c"}, {ints("pads", {1, 1, 1, 1})}),
                       node("BatchNormalization", {"c", "gamma", "beta", "mean", "var"}, {"n"}),
                       node("Relu", {"n"}, {"r"}),
                       node("Conv", {"r", "w2"}, {"d"}),
                       node("Add", {"d", "r"}, {"s"}),
                       node("GlobalAveragePool", {"s"}, {"p"}),
                       node("Flatten", {"p"}, {"f"}),
                       node("Gemm", {"f", "fc", "b"}, {"y"},
                            {{.name = "transB", .type = AttributeType::int_, .i = 1}})};
  io::onnx::ValueInfo x;
  x.name = "x";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{-1, "N"}, {3, ""}, {-1, ""}, {-1, ""}};
  model.graph.inputs = {x};
  x.name = "y";
  model.graph.outputs = {x};
  return model;
}

std::string refusal(const io::onnx::Model& model) {
  try {
    GraphModule module(read_graph(model));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

void expect_says(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

// Whatever order the image comes in, and behind a node that leaves the other order: the fast
// kernels want channels last.
TEST(GraphModule, ConvolutionsAndPoolsRunInChannelsLast) {
  io::onnx::Model model = small_model();
  model.graph.nodes.resize(1);
  model.graph.nodes.push_back(node("Transpose", {"c"}, {"t"}, {ints("perm", {0, 1, 3, 2})}));
  model.graph.nodes.push_back(node("Conv", {"t", "w2"}, {"d"}));
  model.graph.nodes.push_back(node("MaxPool", {"d"}, {"y"}, {ints("kernel_shape", {2, 2})}));
  for (const char* name : {"c", "d"}) {
    io::onnx::ValueInfo info = model.graph.outputs[0];
    info.name = name;
    model.graph.outputs.push_back(info);
  }
  GraphModule module(read_graph(model));
  module.train(false);
  const NoGradGuard no_grad;
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor x = Tensor::full({2, 3, 5, 5}, 0.5).to(format);
    for (const Tensor& y : module.run({&x, 1}))
      EXPECT_EQ(y.format(), MemoryFormat::channels_last) << name_of(format) << str(" ", y.shape());
  }
}

TEST(GraphModule, StagesAreTheValuesThroughWhichAllFlows) {
  GraphModule module(read_graph(small_model()));
  EXPECT_EQ(module.stages(), (std::vector<std::string>{"c_node", "n_node", "r_node", "s_node",
                                                       "p_node", "f_node", "y_node"}));
  const Tensor x = Tensor::full({2, 3, 5, 5}, 0.5);
  module.train(false);
  const NoGradGuard no_grad;
  const Tensor whole = module.forward(x);
  EXPECT_EQ(whole.shape(), (Shape{2, 2}));
  for (size_t cut = 1; cut < module.stages().size(); ++cut) {
    const Tensor parts =
        module.forward_stages(module.forward_stages(x, 0, cut), cut, module.stages().size());
    EXPECT_EQ(parts.to_doubles(), whole.to_doubles()) << cut;
  }
  EXPECT_EQ(module.run(std::vector<Tensor>{x}).at(0).to_doubles(), whole.to_doubles());
  EXPECT_EQ(module.forward(x.to(MemoryFormat::channels_last)).shape(), (Shape{2, 2}));
}

TEST(GraphModule, TensorsKeepTheirNamesAndRoles) {
  GraphModule module(read_graph(small_model()));
  std::vector<std::string> parameters, buffers;
  for (const auto& p : module.parameters()) parameters.push_back(p.name);
  for (const auto& b : module.buffers()) buffers.push_back(b.name);
  EXPECT_EQ(parameters, (std::vector<std::string>{"w1", "gamma", "beta", "w2", "fc", "b"}));
  EXPECT_EQ(buffers, (std::vector<std::string>{"mean", "var"}));
  EXPECT_NE(dynamic_cast<BatchNorm2d*>(module.find("n_node")), nullptr);
}

TEST(GraphModule, TrainsWithBatchStatisticsAndFreezes) {
  GraphModule module(read_graph(small_model()));
  Tensor x = Tensor::zeros({2, 3, 5, 5});
  for (int64_t i = 0; i < x.numel(); ++i)
    x.mutable_data<float>()[i] = static_cast<float>(std::cos(static_cast<double>(i)));
  module.freeze_stage(0);
  EXPECT_EQ(module.frozen_stages(), 1u);
  module.train(true);
  const std::vector<double> before = module.state_dict().at("mean").to_doubles();
  backward(functional::cross_entropy(module.forward(x), Tensor::of<int64_t>({2}, {0, 1})));
  EXPECT_NE(module.state_dict().at("mean").to_doubles(), before);
  for (const auto& p : module.parameters()) {
    EXPECT_EQ(grad_of(p.tensor).defined(), p.name != "w1") << p.name;
    if (p.name == "w1") continue;
    for (const double g : grad_of(p.tensor).to_doubles()) EXPECT_TRUE(std::isfinite(g)) << p.name;
  }
}

// y = Relu(x) where `condition`, else y = x + shift: branches as exporters write them.
io::onnx::Model branching_model(const std::string& condition) {
  io::onnx::Model model = small_model();
  io::onnx::Graph taken, other;
  taken.nodes = {node("Relu", {"x"}, {"r"})};
  taken.outputs.resize(1);
  taken.outputs[0].name = "r";
  io::onnx::NamedTensor shift;
  shift.name = "shift";
  shift.value = Tensor::full({1}, 100);
  other.initializers = {shift};
  other.nodes = {node("Add", {"x", "shift"}, {"r"})};
  other.outputs = taken.outputs;
  model.graph.nodes = {
      node("If", {condition}, {"y"},
           {{.name = "then_branch", .type = AttributeType::graph, .graphs = {taken}},
            {.name = "else_branch", .type = AttributeType::graph, .graphs = {other}}})};
  for (const bool value : {true, false}) {
    io::onnx::NamedTensor stored;
    stored.name = value ? "yes" : "no";
    stored.value = Tensor::full({1}, value ? 1 : 0).to(DType::boolean);
    model.graph.initializers.push_back(stored);
  }
  return model;
}

TEST(GraphModule, BranchesWithAKnownConditionAreTaken) {
  const Tensor x = Tensor::full({1, 3, 1, 1}, -2);
  const NoGradGuard no_grad;
  for (const auto& [condition, expected] :
       std::vector<std::pair<std::string, double>>{{"yes", 0}, {"no", 98}}) {
    GraphModule module(read_graph(branching_model(condition)));
    EXPECT_EQ(module.run(std::vector<Tensor>{x}).at(0).to_doubles(),
              std::vector<double>(3, expected))
        << condition;
  }
}

TEST(GraphModule, BranchesOnTheImagesAndLoopsAreRefused) {
  io::onnx::Model model = branching_model("yes");
  model.graph.nodes.insert(model.graph.nodes.begin(), node("Greater", {"x", "b"}, {"yes2"}));
  model.graph.nodes[1].inputs = {"yes2"};
  expect_says(refusal(model),
              {"small.onnx", "If node 'y_node'", "computed from the graph's inputs", "opset 17"});
  model.graph.nodes[1].op_type = "Loop";
  expect_says(refusal(model), {"Loop node 'y_node'", "opset 17"});
}

TEST(GraphModule, UnknownOperatorsAreNamedAllAtOnce) {
  io::onnx::Model model = small_model();
  model.graph.nodes.insert(model.graph.nodes.begin(),
                           {node("Wobble", {"x"}, {"a"}), node("Wibble", {"a"}, {"x2"})});
  model.graph.nodes[2].inputs[0] = "x2";
  model.graph.nodes[2].attributes.push_back(ints("colour", {1}));
  expect_says(refusal(model), {"small.onnx", "Wobble", "Wibble", "a_node", "opset 17", "colour"});
}

TEST(GraphModule, BrokenGraphsAreRefused) {
  const auto changed = [](auto&& change) {
    io::onnx::Model model = small_model();
    change(model);
    return refusal(model);
  };
  expect_says(changed([](auto& m) { m.graph.nodes[2].inputs[0] = "nowhere"; }),
              {"r_node", "nowhere"});
  // Nodes in another order are sorted; a cycle has none.
  EXPECT_EQ(changed([](auto& m) { std::swap(m.graph.nodes[1], m.graph.nodes[2]); }), "");
  expect_says(changed([](auto& m) { m.graph.nodes[1].inputs[0] = m.graph.nodes[2].outputs[0]; }),
              {"cycle"});
  expect_says(changed([](auto& m) { m.graph.nodes[2].outputs[0] = "n"; }), {"'n'", "twice"});
  expect_says(changed([](auto& m) { m.graph.initializers.push_back(m.graph.initializers[0]); }),
              {"w1", "twice"});
  expect_says(changed([](auto& m) { m.graph.outputs[0].name = "z"; }), {"'z'"});
  expect_says(changed([](auto& m) { m.graph.outputs.clear(); }), {"no outputs"});
  expect_says(changed([](auto& m) {
                m.graph.nodes[0].inputs = {"x", "x", "x", "x", "x", "x", "x"};
                m.graph.nodes[0].outputs = {"c", "", "", "c"};
              }),
              {"twice"});
}

TEST(GraphModule, ShapesThatDoNotFitNameTheNode) {
  GraphModule module(read_graph(small_model()));
  try {
    module.forward(Tensor::zeros({2, 5, 5, 5}));
    FAIL();
  } catch (const Error& error) {
    expect_says(error.what(), {"Conv node 'c_node'"});
  }
}

TEST(GraphModule, ConstantsAreFoldedWithinALimit) {
  io::onnx::Model model = small_model();
  io::onnx::NamedTensor shape;
  shape.name = "shape";
  shape.type = io::onnx::ElementType::int64;
  shape.value = Tensor::of<int64_t>({2}, {int64_t{1} << 20, int64_t{1} << 20});
  model.graph.initializers.push_back(shape);
  model.graph.nodes.push_back(node("ConstantOfShape", {"shape"}, {"huge"}));
  io::onnx::ValueInfo output;
  output.name = "huge";
  model.graph.outputs.push_back(output);
  expect_says(refusal(model), {"huge_node", "more than"});
}

// Graphs that stand beside the repository.
std::string beside(const std::string& name) {
  return GRAFT_SOURCE_DIR "/../shared/data/models/" + name;
}

double worst(const Tensor& a, const Tensor& b) {
  const auto x = a.to_doubles(), y = b.to_doubles();
  double worst = x.size() == y.size() ? 0 : 1e300, largest = 0;
  for (const double v : y) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    worst = std::max(worst, std::abs(x[i] - y[i]) / largest);
  return worst;
}

TEST(GraphModule, SqueezeNetGivesItsStoredOutputs) {
  const std::string path = beside("squeezenet1.1_imagenet.onnx");
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " stands beside the repository, not in it";
  GraphModule module(read_graph(io::onnx::read_model(path)));
  module.train(false);
  const NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i) {
    const std::string folder = beside(str("squeezenet1.1_test_io/", i, "/"));
    const Tensor x = io::read_npy(folder + "input_0.npy"),
                 y = io::read_npy(folder + "output_0.npy");
    EXPECT_LT(worst(module.run(std::vector<Tensor>{x.to(MemoryFormat::channels_last)}).at(0), y),
              1e-3)
        << i;
  }
}

class LightGraphs : public ::testing::TestWithParam<const char*> {};

TEST_P(LightGraphs, RunsAndTakesAStep) {
  const std::string path = beside(str("onnx_light/light/light_", GetParam(), ".onnx"));
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " stands beside the repository, not in it";
  const std::string name = GetParam();
  if (!test::full_size() && name != "squeezenet" && name != "shufflenet")
    GTEST_SKIP() << "sanitizers run two of the nine graphs here, tools/nightly.sh all";
  GraphModule module(read_graph(io::onnx::read_model(path)));
  Tensor x = Tensor::zeros({1, 3, 224, 224}, {.format = MemoryFormat::channels_last});
  module.train(false);
  {
    // The stored output is that of any image: the weights are constant.
    const NoGradGuard no_grad;
    for (int64_t i = 0; i < x.numel(); ++i)
      x.mutable_data<float>()[i] = static_cast<float>(i % 255) / 255;
    const Tensor y =
        io::onnx::read_tensor(beside(str("onnx_light/light/light_", GetParam(), "_output_0.pb")))
            .value;
    EXPECT_LT(worst(module.run(std::vector<Tensor>{x}).at(0), y), 1e-3);
  }
  module.train(true);
  module.for_each_module([](const std::string&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m))
      norm->fix_statistics(true);  // one image has no batch statistics
  });
  backward(functional::cross_entropy(module.forward(x), Tensor::of<int64_t>({1}, {7})));
  EXPECT_FALSE(module.parameters().empty());
  for (const auto& p : module.parameters()) {
    ASSERT_TRUE(grad_of(p.tensor).defined()) << p.name;
    bool finite = true;
    for (const double g : grad_of(p.tensor).to_doubles()) finite = finite && std::isfinite(g);
    EXPECT_TRUE(finite) << p.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Graphs, LightGraphs,
                         ::testing::Values("bvlc_alexnet", "densenet121", "inception_v1",
                                           "inception_v2", "resnet50", "shufflenet", "squeezenet",
                                           "vgg19", "zfnet512"),
                         [](const auto& graph) { return std::string(graph.param); });

}  // namespace
}  // namespace graft::models
