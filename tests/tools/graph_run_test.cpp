// graft run and graphs through the command.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/io/onnx/model.h"
#include "graft/io/weights/formats.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

// y = relu(x) + w, x [2]; with `relu` named, an output too.
void write_graph(const std::string& path, const std::string& op, const std::string& y = "out/y",
                 const std::string& relu = "") {
  io::onnx::Model model;
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  io::onnx::NamedTensor w;
  w.name = "w";
  w.type = io::onnx::ElementType::float32;
  w.dims = {2};
  w.value = Tensor::of<float>({2}, {1, 2});
  model.graph.name = "g";
  model.graph.initializers = {w};
  io::onnx::Node first, second;
  first.name = "first";
  first.op_type = op;
  first.inputs = {"x"};
  first.outputs = {relu.empty() ? "r" : relu};
  second.name = "second";
  second.op_type = "Add";
  second.inputs = {first.outputs[0], "w"};
  second.outputs = {y};
  model.graph.nodes = {first, second};
  io::onnx::ValueInfo x;
  x.name = "x";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{2, ""}};
  model.graph.inputs = {x};
  x.name = y;
  model.graph.outputs = {x};
  x.name = relu;
  if (!relu.empty()) model.graph.outputs.push_back(x);
  io::onnx::write_model(path, model);
}

TEST(GraphCommand, RunsAGraph) {
  const TemporaryFolder folder;
  write_graph(folder / "g.onnx", "Relu");
  io::write_npy(folder / "x.npy", Tensor::of<float>({2}, {-1, 4}));
  for (const std::string& input : {folder / "x.npy", "x=" + (folder / "x.npy")}) {
    const CommandResult result =
        run_graft({"run", folder / "g.onnx", "--input", input, "--output", folder / "out"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(io::read_npy(folder / "out/out_y.npy").to_doubles(), (std::vector<double>{1, 6}));
  }
}

// Two outputs in one file, or a file of another name than the output's: nothing is written.
TEST(GraphCommand, OutputNamesThatCollideOrWouldBeCutAreRefused) {
  const TemporaryFolder folder;
  io::write_npy(folder / "x.npy", Tensor::of<float>({2}, {-1, 4}));
  const auto said = [&](const std::string& y, const std::string& relu) {
    write_graph(folder / "g.onnx", "Relu", y, relu);
    const CommandResult result = run_graft(
        {"run", folder / "g.onnx", "--input", folder / "x.npy", "--output", folder / "out"});
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
    return result.err;
  };
  EXPECT_NE(said("a/b", "a_b").find("'a/b' and 'a_b' would be written to one file"),
            std::string::npos);
  const std::string zero = said(std::string("y\0z", 3), "");
  EXPECT_NE(zero.find("zero byte"), std::string::npos) << zero;
  EXPECT_NE(said(std::string(252, 'y'), "").find("too long for a file"), std::string::npos);
}

TEST(GraphCommand, RefusalsHaveCodesAndNames) {
  const TemporaryFolder folder;
  write_graph(folder / "g.onnx", "Relu");
  write_graph(folder / "odd.onnx", "Wobble");
  io::write_npy(folder / "x.npy", Tensor::of<float>({2}, {-1, 4}));
  io::write_npy(folder / "wide.npy", Tensor::of<double>({2}, {-1, 4}));
  const auto refused = [&](const std::string& model, const std::string& input,
                           const std::string& part) {
    std::vector<std::string> arguments{"run", folder / model, "--output", folder / "out"};
    if (!input.empty()) arguments.insert(arguments.end(), {"--input", input});
    const CommandResult result = run_graft(arguments);
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  };
  refused("odd.onnx", folder / "x.npy", "Wobble node 'first' (ai.onnx opset 17)");
  refused("g.onnx", "", "input 'x' is not given");
  refused("g.onnx", "z=" + (folder / "x.npy"), "no input 'z'");
  refused("g.onnx", folder / "wide.npy", "float64");
  refused("g.onnx", folder / "missing.npy", "missing.npy");
}

TEST(GraphCommand, TellsItsOutputsAsJson) {
  const TemporaryFolder folder;
  write_graph(folder / "g.onnx", "Relu");
  io::write_npy(folder / "x.npy", Tensor::of<float>({2}, {-1, 4}));
  const CommandResult result = run_graft({"run", folder / "g.onnx", "--input", folder / "x.npy",
                                          "--output", folder / "out", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document.at("outputs").at(0).at("name"), "out/y");
  EXPECT_EQ(document.at("outputs").at(0).at("file"), folder / "out/out_y.npy");
  EXPECT_EQ(document.at("outputs").at(0).at("shape"), nlohmann::json::array({2}));
}

TEST(GraphCommand, CertificatesAreJson) {
  const TemporaryFolder folder;
  const CommandResult converted =
      run_graft({"convert", carried_weights(), folder / "m.onnx", "--json"});
  EXPECT_EQ(converted.code, 0) << converted.err;
  const auto written = nlohmann::json::parse(converted.out);
  EXPECT_EQ(written.at("written").at("path"), folder / "m.onnx");
  EXPECT_GT(written.at("matched"), 50);
  write_photos(folder / "photos", {"red", "blue"}, 4, 40);
  const CommandResult inspected =
      run_graft({"inspect", carried_weights(), "--data", folder / "photos", "--json"});
  EXPECT_EQ(inspected.code, 0) << inspected.err;
  const auto certificate = nlohmann::json::parse(inspected.out).at("import");
  EXPECT_NE(certificate.at("images").get<std::string>().find(
                "8 of your images: the means of 19 batch norms"),
            std::string::npos)
      << certificate.at("images");
  const CommandResult own = run_graft({"inspect", folder / "m.onnx", "--json"});
  EXPECT_NE(nlohmann::json::parse(own.out)
                .at("import")
                .at("comparison")
                .get<std::string>()
                .find("[2,10], largest difference"),
            std::string::npos)
      << own.out;
}

// 4 GB asked for by a shape in the file: refused before the machine runs out of memory.
TEST(GraphCommand, ResultsBeyondTheMemoryLimitLeaveWithCode4) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer ends a program that its limit leaves without memory";
#endif
  const TemporaryFolder folder;
  write_graph(folder / "g.onnx", "Relu");
  io::onnx::Model model = io::onnx::read_model(folder / "g.onnx");
  io::onnx::NamedTensor shape;
  shape.name = "shape";
  shape.value = Tensor::of<int64_t>({2}, {int64_t{1} << 29, 2});
  model.graph.initializers.push_back(shape);
  io::onnx::Node expand;
  expand.name = "expand";
  expand.op_type = "Expand";
  expand.inputs = {"x", "shape"};
  expand.outputs = {"large"};
  model.graph.nodes.insert(model.graph.nodes.begin(), expand);
  model.graph.nodes[1].inputs = {"large"};
  io::onnx::write_model(folder / "large.onnx", model);
  io::write_npy(folder / "x.npy", Tensor::of<float>({2}, {-1, 4}));
  const CommandResult result = run_graft({"run", folder / "large.onnx", "--input", folder / "x.npy",
                                          "--output", folder / "out", "--max-memory", "1G"});
  EXPECT_EQ(result.code, 4) << result.err;
  for (const char* part : {"Expand node 'expand'", "out of memory: 4294967296 bytes"})
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

// The same images through a file of another kind: the answers that its framework gave.
double difference_from_answers(const std::string& model, const Tensor& x, const Tensor& y) {
  const TemporaryFolder folder;
  io::write_npy(folder / "x.npy", x);
  const CommandResult run =
      run_graft({"run", model, "--input", folder / "x.npy", "--output", folder / "out", "--json"});
  EXPECT_EQ(run.code, 0) << run.err;
  if (run.code != 0) return HUGE_VAL;
  const auto outputs = nlohmann::json::parse(run.out).at("outputs");
  const std::vector<double> got =
      io::read_npy(outputs.at(0).at("file").get<std::string>()).to_doubles();
  const std::vector<double> wanted = y.to_doubles();
  EXPECT_EQ(got.size(), wanted.size());
  double most = 0;
  for (size_t i = 0; i < std::min(got.size(), wanted.size()); ++i)
    most = std::max(most, std::abs(got[i] - wanted[i]));
  return most;
}

TEST(GraphCommand, PyTorchsExportsAndKerasModelsRunToo) {
  const StateDict torch = io::read_weights(GRAFT_TEST_DATA "/pt2/cnn.npz").tensors;
  EXPECT_LE(difference_from_answers(GRAFT_TEST_DATA "/pt2/cnn.pt2", torch.at("x"), torch.at("y")),
            1e-4);
  const StateDict keras =
      io::read_weights(GRAFT_TEST_DATA "/keras/graphs/answers.safetensors").tensors;
  for (const char* file : {"/keras/graphs/nested.keras", "/keras/graphs/nested.h5"})
    EXPECT_LE(difference_from_answers(str(GRAFT_TEST_DATA, file), keras.at("nested.x"),
                                      keras.at("nested.y")),
              1e-5);
  const CommandResult weights =
      run_graft({"run", GRAFT_TEST_DATA "/pt2/cnn.npz", "--output", "nowhere"});
  EXPECT_EQ(weights.code, 3);
  EXPECT_NE(weights.err.find("does not say how its layers are connected"), std::string::npos)
      << weights.err;
}

// data [1,3,400,400] -> a convolution of 3 to 80 channels with windows of 201 x 201, whose weight
// is made of one number: 400 bytes that ask for 10^12 multiply-adds.
void write_graph_of_hours(const std::string& path) {
  io::onnx::Model model;
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  io::onnx::NamedTensor shape;
  shape.name = "shape";
  shape.type = io::onnx::ElementType::int64;
  shape.dims = {4};
  shape.value = Tensor::of<int64_t>({4}, {80, 3, 201, 201});
  model.graph.name = "g";
  model.graph.initializers = {shape};
  io::onnx::Node weight, conv;
  weight.op_type = "ConstantOfShape";
  weight.inputs = {"shape"};
  weight.outputs = {"w"};
  conv.op_type = "Conv";
  conv.name = "conv";
  conv.inputs = {"data", "w"};
  conv.outputs = {"y"};
  model.graph.nodes = {weight, conv};
  io::onnx::ValueInfo x;
  x.name = "data";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{1, ""}, {3, ""}, {400, ""}, {400, ""}};
  model.graph.inputs = {x};
  x.name = "y";
  model.graph.outputs = {x};
  io::onnx::write_model(path, model);
}

TEST(GraphCommand, AGraphThatAsksForHoursIsRefusedInTime) {
  const TemporaryFolder folder;
  const std::string graph = folder / "hours.onnx";
  write_graph_of_hours(graph);
  const std::vector<std::vector<std::string>> commands = {
      {"inspect", graph},
      {"convert", graph, folder / "o.safetensors"},
      {"predict", graph, GRAFT_TEST_DATA "/images/rgb.png"}};
  for (const std::vector<std::string>& words : commands) {
    const CommandResult result = run_graft(words, {.kill_after_ms = 60'000});
    const bool inspects = words[0] == "inspect";  // which says what can be said
    const std::string& said = inspects ? result.out : result.err;
    EXPECT_EQ(result.code, inspects ? 0 : 3) << words[0] << ": " << said;
    EXPECT_NE(said.find("the graph was not executed: with 2 images of 3x400x400 it would take more "
                        "than the 500000 million multiply-adds"),
              std::string::npos)
        << words[0] << ": " << said;
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "o.safetensors"));
}

}  // namespace
}  // namespace graft
