// graft bench FILE: networks as they come out of files, timed and profiled.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/io/onnx/model.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

nlohmann::json timed(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  for (const char* more : {"--batch", "2", "--iterations", "1", "--device", "cpu", "--json"})
    arguments.push_back(more);
  const CommandResult result = run_graft(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  return nlohmann::json::parse(result.out, nullptr, false);
}

// The carried network as a graph: ONNX without graft's card.
std::string write_as_graph(const TemporaryFolder& folder) {
  const std::string path = folder / "network.onnx";
  EXPECT_EQ(run_graft({"convert", carried_weights(), path}).code, 0);
  io::onnx::Model model = io::onnx::read_model(path);
  model.metadata.clear();
  io::onnx::write_model(path, model);
  return path;
}

TEST(BenchFile, TimesANativeNetworkAtTheFilesSize) {
  const nlohmann::json answer = timed({carried_weights()});
  EXPECT_EQ(answer["model"], "cifar_resnet20");
  EXPECT_EQ(answer["kind"], "native");
  EXPECT_EQ(answer["file"], carried_weights());
  EXPECT_EQ(answer["image_size"], 32);
  EXPECT_EQ(answer["image_width"], 32);
  EXPECT_EQ(answer["task"], "infer");
  EXPECT_GT(answer["images_per_s"], 0);
}

TEST(BenchFile, TrainsAndProfilesAGraph) {
  const TemporaryFolder folder;
  const std::string path = write_as_graph(folder);
  const nlohmann::json answer = timed({path, "--image-size", "32", "--train", "--profile"});
  EXPECT_EQ(answer["kind"], "graph");
  EXPECT_EQ(answer["task"], "train");
  const nlohmann::json& profile = answer["profile"];
  int64_t backward = 0;
  double shares = 0;
  for (const nlohmann::json& row : profile["ops"]) {
    shares += row["share"].get<double>();
    if (row["op"] == "conv backward-weight") backward += row["calls"].get<int64_t>();
  }
  EXPECT_EQ(backward, 19);
  EXPECT_GT(shares, 0);
  for (const nlohmann::json& row : profile["kernels"]) {
    EXPECT_TRUE(row.contains("shape") && row.contains("kernel") && row.contains("gflops")) << row;
    EXPECT_GT(row["ms"], 0) << row;
  }
}

// The same with its batch norms folded away, as exporters write networks in eval mode.
std::string write_folded(const TemporaryFolder& folder) {
  const std::string path = write_as_graph(folder);
  io::onnx::Model model = io::onnx::read_model(path);
  std::vector<io::onnx::Node>& nodes = model.graph.nodes;
  for (const io::onnx::Node& norm : std::vector<io::onnx::Node>(nodes)) {
    if (norm.op_type != "BatchNormalization") continue;
    for (io::onnx::Node& conv : nodes)
      if (conv.outputs[0] == norm.inputs[0])
        conv.inputs = {conv.inputs[0], conv.inputs[1], norm.inputs[2]}, conv.outputs = norm.outputs;
  }
  std::erase_if(nodes, [](const auto& node) { return node.op_type == "BatchNormalization"; });
  io::onnx::write_model(path, model);
  return path;
}

TEST(BenchFile, TrainsAGraphWhoseNormsWereFolded) {
  const TemporaryFolder folder;
  const CommandResult result =
      run_graft({"bench", write_folded(folder), "--batch", "2", "--image-size", "32",
                 "--iterations", "1", "--device", "cpu", "--train"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("19 batch norms were folded"), std::string::npos) << result.err;
}

TEST(BenchFile, ANewHeadIsSaid) {
  const CommandResult result =
      run_graft({"bench", carried_weights(), "--batch", "2", "--iterations", "1", "--classes", "3",
                 "--train", "--device", "cpu"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("a new head of 3 classes"), std::string::npos) << result.err;
}

TEST(BenchFile, RefusesWhatItCannotTime) {
  EXPECT_EQ(run_graft({"bench", "no_such_file.onnx"}).code, 3);
  EXPECT_EQ(run_graft({"bench", carried_weights(), "--model", "resnet18"}).code, 2);
  EXPECT_EQ(run_graft({"bench", carried_weights(), "--loader", "."}).code, 3);
}

}  // namespace
}  // namespace graft
