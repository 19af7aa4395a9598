// Graphs as tools leave them: quantized, exported in training mode, in 16 bits, out of order, with
// preprocessing in front or an activation behind. Each is read as the network that it stands for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/io/weights/formats.h"
#include "graft/layers/functional/reduce.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/support/batch_check.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::ElementType;
using io::onnx::Node;

Node made(const std::string& op, std::vector<std::string> inputs, std::vector<std::string> outputs,
          std::vector<Attribute> attributes = {}) {
  Node n;
  n.name = outputs[0] + "_node";
  n.op_type = op;
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  n.attributes = std::move(attributes);
  return n;
}

Attribute whole(const char* name, int64_t value) {
  return {.name = name, .type = AttributeType::int_, .i = value};
}

void stored(io::onnx::Model& model, const std::string& name, const Tensor& value,
            ElementType type = ElementType::float32) {
  io::onnx::NamedTensor tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.value = value;
  model.graph.initializers.push_back(std::move(tensor));
}

io::onnx::ValueInfo image_info(const std::string& name, std::vector<int64_t> dims,
                               ElementType type = ElementType::float32) {
  io::onnx::ValueInfo info;
  info.name = name;
  info.type = type;
  info.has_shape = true;
  for (const int64_t dim : dims) info.dims.push_back({dim, ""});
  return info;
}

// x [N,3,16,16] -> conv -> norm -> relu -> pool -> flatten -> Gemm -> y [N,classes].
io::onnx::Model small_classifier(int64_t classes = 4) {
  io::onnx::Model model;
  model.path = "small.onnx";
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  stored(model, "w", test::formula_image("w", {4, 3, 3, 3}));
  for (const char* name : {"gamma", "beta", "mean"})
    stored(model, name, test::formula_image(name, {4}));
  stored(model, "var", Tensor::full({4}, 2));
  stored(model, "fc.weight", test::formula_image("fc", {classes, 4}));
  stored(model, "fc.bias", test::formula_image("b", {classes}));
  model.graph.nodes = {made("Conv", {"x", "w"}, {"c"}),
                       made("BatchNormalization", {"c", "gamma", "beta", "mean", "var"}, {"n"}),
                       made("Relu", {"n"}, {"r"}),
                       made("GlobalAveragePool", {"r"}, {"p"}),
                       made("Flatten", {"p"}, {"f"}),
                       made("Gemm", {"f", "fc.weight", "fc.bias"}, {"y"}, {whole("transB", 1)})};
  model.graph.inputs = {image_info("x", {-1, 3, 16, 16})};
  model.graph.outputs = {image_info("y", {-1, classes})};
  return model;
}

Tensor three_images() {
  return test::formula_image("image", {3, 3, 16, 16}).to(MemoryFormat::channels_last);
}

std::vector<double> answers(const Imported& imported, const Tensor& x = three_images()) {
  const NoGradGuard no_grad;
  return imported.model.network->forward(x).to_doubles();
}

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0, scale = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return largest / scale;
}

bool says(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

// --- quantized ---

io::onnx::Model one_pair() {
  io::onnx::Model model;
  model.path = "pair.onnx";
  model.opsets = {{"", 17}};
  stored(model, "scale", Tensor::scalar(0.5));
  stored(model, "zero", Tensor::scalar(0, DType::u8), ElementType::uint8);
  model.graph.nodes = {made("QuantizeLinear", {"x", "scale", "zero"}, {"q"}),
                       made("DequantizeLinear", {"q", "scale", "zero"}, {"y"})};
  model.graph.inputs = {image_info("x", {5})};
  model.graph.outputs = {image_info("y", {5})};
  return model;
}

TEST(QuantizedGraphs, APairRoundsAndSaturatesAsOnnxSays) {
  GraphModule module(read_graph(one_pair()));
  const Tensor x = Tensor::of<float>({5}, {-3, 0.3F, 1.2F, 100, 200});
  EXPECT_EQ(module.run(std::vector{x})[0].to_doubles(),
            (std::vector<double>{0, 0.5, 1, 100, 127.5}));
}

TEST(QuantizedGraphs, AsANetworkAPairSaturatesAndItsGradientPassesWithin) {
  GraphModule module(read_graph(one_pair(), {.as_network = true}));
  const Tensor x = Tensor::of<float>({5}, {-3, 0.3F, 1.2F, 100, 200});
  Tensor leaf = x.clone();
  set_requires_grad(leaf, true);
  const Tensor y = module.run(std::vector{leaf})[0];
  const std::vector<double> values = y.to_doubles();
  EXPECT_EQ(values[0], 0);
  EXPECT_NEAR(values[1], 0.3, 1e-6);
  EXPECT_EQ(values[4], 127.5);
  backward(functional::reduce(y, {.function = ops::Reduce::sum}));
  EXPECT_EQ(grad_of(leaf).to_doubles(), (std::vector<double>{0, 1, 1, 1, 0}));
}

TEST(QuantizedGraphs, SixteenBitsSaturateByTheirSign) {
  for (const auto& [type, low, high] :
       {std::tuple{ElementType::int16, -16384.0, 16383.5}, {ElementType::uint16, 0.0, 32767.5}}) {
    io::onnx::Model model = one_pair();
    model.graph.initializers[1].type = type;
    model.graph.initializers[1].value = Tensor::scalar(0, DType::i32);
    GraphModule module(read_graph(model, {.as_network = true}));
    const Tensor x[] = {Tensor::of<float>({5}, {-20000, -3, 0.25F, 200, 40000})};
    EXPECT_EQ(module.run(x)[0].to_doubles(),
              (std::vector<double>{low, std::max(low, -3.0), 0.25, 200, high}));
  }
}

class OnnxruntimesQuantized : public testing::TestWithParam<const char*> {
 protected:
  std::string path() const {
    return str(GRAFT_TEST_DATA "/graphs/quantized_", GetParam(), ".onnx");
  }
  StateDict stored_answers() const {
    return io::read_weights(GRAFT_TEST_DATA "/graphs/quantized.npz").tensors;
  }
};

TEST_P(OnnxruntimesQuantized, RunsAsThere) {
  GraphModule module(read_graph(io::onnx::read_model(path())));
  const StateDict stored = stored_answers();
  const std::vector<double> wanted = stored.at(GetParam()).to_doubles(),
                            got = module.run(std::vector{stored.at("x")})[0].to_doubles();
  EXPECT_LT(apart(got, wanted), 0.012) << "more than a step of the last integers";
}

TEST_P(OnnxruntimesQuantized, IsAFloatNetworkOfTheSameFunctionUpToRounding) {
  const Imported imported = test::import_checked(io::onnx::read_model(path()), {});
  const StateDict stored = stored_answers();
  const Tensor x = stored.at("x").to(MemoryFormat::channels_last);
  EXPECT_LT(apart(answers(imported, x), stored.at(GetParam()).to_doubles()), 0.03);
  EXPECT_TRUE(says(imported.certificate.notes, "a quantized graph, read in float"));
  EXPECT_EQ(std::get<GraphConfig>(imported.model.card.architecture).classes, 5);
  int64_t weights = 0;  // all trainable, in float; beside biases and norms
  for (const NamedTensor& p : imported.model.network->parameters())
    if (p.tensor.numel() > 8) weights += p.tensor.numel();
  EXPECT_EQ(weights, 8 * 27 + 8 * 72 + 64 + 80);
  test::expect_images_answered_alone(*imported.model.network, 3, 16);
}

TEST_P(OnnxruntimesQuantized, LeavesAsPlainOnnx) {
  const Imported imported = test::import_checked(io::onnx::read_model(path()), {});
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "out.onnx", to_onnx(*imported.model.network, imported.model.card));
  const io::onnx::Model again = io::onnx::read_model(folder / "out.onnx");
  ASSERT_EQ(again.opsets.size(), 1u);
  GraphModule module(read_graph(again));
  module.train(false);
  const Tensor x = stored_answers().at("x");
  EXPECT_LT(apart(module.run(std::vector{x})[0].to_doubles(),
                  answers(imported, x.to(MemoryFormat::channels_last))),
            1e-6);
}

INSTANTIATE_TEST_SUITE_P(QuantizedGraphs, OnnxruntimesQuantized,
                         testing::Values("qdq", "qoperator", "dynamic"),
                         [](const auto& test_case) { return std::string(test_case.param); });

TEST(QuantizedGraphs, ScalesAChannelAreRefusedByName) {
  io::onnx::Model model = one_pair();
  model.graph.initializers[0].value = Tensor::of<float>({5}, {1, 2, 3, 4, 5});
  model.graph.initializers[1].value = Tensor::zeros({5}, {.dtype = DType::u8});
  try {
    read_graph(model, {.as_network = true});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("q_node"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("5 scales"), std::string::npos) << error.what();
  }
}

// --- training mode ---

TEST(TrainingExports, NormsAndDropoutsBecomeGraftsOwn) {
  const std::vector<double> wanted = answers(test::import_checked(small_classifier(), {}));
  io::onnx::Model model = small_classifier();
  model.graph.nodes[1].attributes.push_back(whole("training_mode", 1));
  model.graph.nodes[1].outputs = {"n", "mean_after", "var_after"};
  stored(model, "ratio", Tensor::scalar(0.5));
  Attribute yes{.name = "value", .type = AttributeType::tensor};
  yes.tensors.resize(1);
  yes.tensors[0].type = ElementType::boolean;
  yes.tensors[0].value = Tensor::scalar(1, DType::boolean);
  model.graph.nodes.insert(model.graph.nodes.begin() + 5,
                           {made("Constant", {}, {"live"}, {yes}),
                            made("Dropout", {"f", "ratio", "live"}, {"d", "mask"})});
  model.graph.nodes.back().inputs[0] = "d";
  const Imported imported = test::import_checked(model, {});
  EXPECT_EQ(answers(imported), wanted);
  EXPECT_TRUE(says(imported.certificate.notes, "1 batch norms were exported in training mode"));
  EXPECT_TRUE(says(imported.certificate.notes, "1 dropouts were exported in training mode"));
  test::expect_images_answered_alone(*imported.model.network, 3, 16);
  // In graft's training mode they are live.
  const NoGradGuard no_grad;
  imported.model.network->train(true);
  EXPECT_NE(imported.model.network->forward(three_images()).to_doubles(), wanted);
}

// --- types and order ---

TEST(GraphForms, HalfPrecisionIsReadAsFloat32) {
  const std::vector<double> wanted = answers(test::import_checked(small_classifier(), {}));
  io::onnx::Model model = small_classifier();
  for (auto& tensor : model.graph.initializers) {
    tensor.value = tensor.value.to(DType::f16);
    tensor.type = ElementType::float16;
  }
  model.graph.inputs[0].type = ElementType::float16;
  const Imported pure = test::import_checked(model, {});
  EXPECT_LT(apart(answers(pure), wanted), 2e-3);
  // float32 at the ends, with Casts behind the nodes that read them.
  model.graph.inputs[0].type = ElementType::float32;
  model.graph.nodes[0].inputs[0] = "x16";
  model.graph.nodes.back().outputs = {"y16"};
  model.graph.nodes.push_back(made("Cast", {"y16"}, {"y"}, {whole("to", 1)}));
  model.graph.nodes.push_back(made("Cast", {"x"}, {"x16"}, {whole("to", 10)}));
  const Imported cast = test::import_checked(model, {});
  EXPECT_EQ(answers(cast), answers(pure));
  EXPECT_TRUE(says(cast.certificate.notes, "16-bit floats"));
  EXPECT_TRUE(says(cast.certificate.notes, "they were sorted"));
  for (const NamedTensor& p : cast.model.network->parameters())
    EXPECT_EQ(p.tensor.dtype(), DType::f32) << p.name;
}

TEST(GraphForms, NodesOutOfOrderAreSorted) {
  const std::vector<double> wanted = answers(test::import_checked(small_classifier(), {}));
  io::onnx::Model model = small_classifier();
  std::reverse(model.graph.nodes.begin(), model.graph.nodes.end());
  EXPECT_EQ(answers(test::import_checked(model, {})), wanted);
  EXPECT_TRUE(says(read_graph(model).notes, "they were sorted"));
}

// --- preprocessing in front ---

// The small classifier with (x / 255 - mean) / std in front, as `nodes` of [name, op, constant].
io::onnx::Model with_own_preprocessing(double mean, double deviation) {
  io::onnx::Model model = small_classifier();
  stored(model, "whole", Tensor::scalar(255));
  stored(model, "pre_mean",
         Tensor::of<float>({1, 3, 1, 1}, {float(mean), float(mean) - 0.03F, float(mean) - 0.08F}));
  stored(model, "pre_std", Tensor::full({1, 3, 1, 1}, deviation));
  model.graph.nodes[0].inputs[0] = "normal";
  model.graph.nodes.insert(
      model.graph.nodes.begin(),
      {made("Div", {"x", "whole"}, {"small"}), made("Sub", {"small", "pre_mean"}, {"centered"}),
       made("Div", {"centered", "pre_std"}, {"normal"})});
  return model;
}

TEST(GraphPreprocessing, ImagesAreNotNormalizedTwice) {
  const Imported imported = test::import_checked(with_own_preprocessing(0.485, 0.229), {});
  const io::Preprocess& p = imported.model.card.preprocess;
  EXPECT_EQ(p.scale, 1);
  EXPECT_EQ(p.mean, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(p.deviation, (std::vector<double>{1, 1, 1}));
  EXPECT_FALSE(p.bgr);
  EXPECT_TRUE(imported.certificate.preprocess.known);
  EXPECT_NE(imported.certificate.preprocess.why.find("Sub node 'centered_node'"), std::string::npos)
      << imported.certificate.preprocess.why;
  EXPECT_TRUE(imported.certificate.doubts.empty());
  test::expect_images_answered_alone(*imported.model.network, 3, 16);
}

TEST(GraphPreprocessing, PixelsOfZeroToOneAreTold) {
  io::onnx::Model model = with_own_preprocessing(0.485, 0.229);
  model.graph.nodes.erase(model.graph.nodes.begin());
  model.graph.nodes[0].inputs[0] = "x";
  const Imported imported = test::import_checked(model, {});
  EXPECT_EQ(imported.model.card.preprocess.scale, 1.0 / 255);
  EXPECT_EQ(imported.model.card.preprocess.mean, (std::vector<double>{0, 0, 0}));
}

TEST(GraphPreprocessing, NumbersThatFitNothingAreDoubted) {
  const Imported imported = test::import_checked(with_own_preprocessing(0.485, 40), {});
  EXPECT_FALSE(imported.certificate.preprocess.known);
  EXPECT_TRUE(says(imported.certificate.doubts, "--scale, --mean, --std"));
}

TEST(GraphPreprocessing, IntegersWithChannelsLast) {
  const std::vector<double> wanted = answers(test::import_checked(small_classifier(), {}));
  io::onnx::Model model = small_classifier();
  model.graph.nodes[0].inputs[0] = "real";
  model.graph.nodes.insert(
      model.graph.nodes.begin(),
      {made("Transpose", {"x"}, {"turned"},
            {{.name = "perm", .type = AttributeType::ints, .ints = {0, 3, 1, 2}}}),
       made("Cast", {"turned"}, {"real"}, {whole("to", 1)})});
  model.graph.inputs = {image_info("x", {-1, 16, 16, 3}, ElementType::uint8)};
  const Imported imported = test::import_checked(model, {});
  EXPECT_EQ(answers(imported), wanted);
  EXPECT_EQ(imported.model.card.preprocess.scale, 1);
  EXPECT_TRUE(imported.certificate.preprocess.known);
  EXPECT_TRUE(says(imported.certificate.notes, "is uint8"));
}

// --- outputs ---

TEST(GraphInputs, SidesThatDiffer) {
  io::onnx::Model model = small_classifier();
  model.graph.inputs = {image_info("x", {-1, 3, 8, 24})};
  const Imported imported = test::import_checked(model, {});
  const io::Preprocess& p = imported.model.card.preprocess;
  EXPECT_EQ(p.sides(), "8x24");
  EXPECT_EQ(p.fit(), "squash");
  EXPECT_NE(imported.certificate.preprocess.what.find("8x24"), std::string::npos);
  EXPECT_FALSE(says(imported.certificate.doubts, "one side"));
  const io::onnx::Model again = to_onnx(*imported.model.network, imported.model.card);
  EXPECT_EQ(again.graph.inputs.at(0).dims.at(3).value, 24);
  model.graph.inputs = {image_info("x", {-1, 3, 8, -1})};
  EXPECT_TRUE(says(test::import_checked(model, {}).certificate.doubts, "--image-size HxW"));
}

TEST(GraphOutputs, SeveralAreDoubtedUntilOneIsNamed) {
  io::onnx::Model model = small_classifier();
  stored(model, "aux.weight", test::formula_image("aux", {7, 4}));
  model.graph.nodes.push_back(made("Gemm", {"f", "aux.weight"}, {"aux"}, {whole("transB", 1)}));
  model.graph.outputs.push_back(image_info("aux", {-1, 7}));
  const Imported first = test::import_checked(model, {}),
                 other = test::import_checked(model, {.output = "aux"});
  EXPECT_TRUE(says(first.certificate.doubts, "2 outputs: y, aux"));
  EXPECT_EQ(std::get<GraphConfig>(first.model.card.architecture).classes, 4);
  EXPECT_FALSE(says(other.certificate.doubts, "outputs"));
  EXPECT_EQ(std::get<GraphConfig>(other.model.card.architecture).classes, 7);
  EXPECT_THROW(test::import_checked(model, {.output = "no such"}), Error);
}

TEST(GraphOutputs, ActivationsAreNotAppliedTwice) {
  const std::vector<double> wanted = answers(test::import_checked(small_classifier(), {}));
  for (const char* op : {"Softmax", "LogSoftmax", "Sigmoid"}) {
    io::onnx::Model model = small_classifier();
    model.graph.nodes.back().outputs = {"z"};
    model.graph.nodes.push_back(made(op, {"z"}, {"a"}));
    model.graph.nodes.push_back(made("Flatten", {"a"}, {"y"}));
    const Imported imported = test::import_checked(model, {});
    EXPECT_EQ(answers(imported), wanted) << op;
    EXPECT_EQ(imported.model.card.activation,
              std::string(op) == "Sigmoid" ? Activation::sigmoid : Activation::softmax);
  }
}

TEST(GraphOutputs, OneOutputIsTwoClasses) {
  io::onnx::Model model = small_classifier(1);
  model.graph.nodes.back().outputs = {"z"};
  model.graph.nodes.push_back(made("Sigmoid", {"z"}, {"y"}));
  Imported imported = test::import_checked(model, {});
  EXPECT_EQ(std::get<GraphConfig>(imported.model.card.architecture).classes, 2);
  const std::vector<double> logits = answers(imported);
  ASSERT_EQ(logits.size(), 6u);
  GraphModule module(read_graph(model));
  module.train(false);
  const std::vector<double> sigmoid =
      module.run(std::vector{test::formula_image("image", {3, 3, 16, 16})})[0].to_doubles();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(logits[2 * i], 0);
    EXPECT_NEAR(1 / (1 + std::exp(-logits[2 * i + 1])), sigmoid[i], 1e-6);
  }
  EXPECT_EQ(imported.model.card.activation, Activation::softmax);
  EXPECT_TRUE(says(imported.certificate.notes, "one output is read as two classes"));
  const TemporaryFolder folder;
  imported.model.card.labels = {"no", "yes"};
  save_model(folder / "m.safetensors", *imported.model.network, imported.model.card);
  const Model again = load_model(folder / "m.safetensors");
  const NoGradGuard no_grad;
  EXPECT_EQ(again.network->forward(three_images()).to_doubles(), logits);
  replace_head(imported.model, 3, 1);
  EXPECT_EQ(imported.model.network->forward(three_images()).shape(), (Shape{3, 3}));
}

TEST(GraphOutputs, TheCardKeepsTheSigmoid) {
  io::onnx::Model model = small_classifier();
  model.graph.nodes.back().outputs = {"z"};
  model.graph.nodes.push_back(made("Sigmoid", {"z"}, {"y"}));
  const ModelCard card = test::import_checked(model, {}).model.card;
  EXPECT_EQ(ModelCard::from_json(card.to_json()).activation, Activation::sigmoid);
}

}  // namespace
}  // namespace graft::models
