// One network in four formats gives one model, bit for bit. (A whole ResNet-50:
// tests/data/networks/check_formats.py.)
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/reduce.h"
#include "graft/models/import.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

TEST(NetworkFormats, FourFilesOneModel) {
  const TemporaryFolder folder;
  const std::string pth = GRAFT_TEST_DATA "/networks/cut18.pth",
                    onnx = GRAFT_TEST_DATA "/networks/cut18.onnx";
  const io::WeightFile source = io::read_weights(pth);
  io::write_safetensors(folder / "same.safetensors", source.tensors);
  io::write_npz(folder / "same.npz", source.tensors);

  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 48, 40}).to(MemoryFormat::channels_last);
  StateDict first;
  std::vector<double> features;
  for (const std::string& file : {pth, onnx, folder / "same.safetensors", folder / "same.npz"}) {
    const Imported imported = test::import_checked(file, {.arch = "resnet18"});
    EXPECT_EQ(name_of(imported.model.card.architecture), "resnet18") << file;
    StagedNetwork& network = *imported.model.network;
    EXPECT_EQ(network.stages(), (std::vector<std::string>{"stem", "layer1", "pool"})) << file;
    const StateDict state = network.state_dict();
    const std::vector<double> here = network.forward(x).to_doubles();
    if (first.empty()) {
      first = state;
      features = here;
      for (const auto& [name, tensor] : source.tensors)
        EXPECT_EQ(state.at(name).to_doubles(), tensor.to_doubles()) << name;
    }
    ASSERT_EQ(state.size(), first.size()) << file;
    for (const auto& [name, tensor] : first)
      EXPECT_EQ(state.at(name).to_doubles(), tensor.to_doubles()) << file << ": " << name;
    EXPECT_EQ(here, features) << file;
  }
}

// The graph as it is and the native network made of it: the same function, statistics and
// gradients.
TEST(NetworkFormats, TheGraphTrainsAsTheNativeNetworkDoes) {
  const std::string onnx = GRAFT_TEST_DATA "/networks/cut18.onnx";
  const Imported graph = test::import_checked(onnx),
                 native = test::import_checked(onnx, {.arch = "resnet18"});
  ASSERT_TRUE(std::holds_alternative<GraphConfig>(graph.model.card.architecture));
  const Tensor x = test::formula_image("image", {4, 3, 48, 40}).to(MemoryFormat::channels_last);
  StateDict gradients[2];
  for (const bool is_native : {false, true}) {
    StagedNetwork& network = is_native ? *native.model.network : *graph.model.network;
    network.train(true);
    backward(functional::reduce(functional::mul(network.forward(x), network.forward(x)),
                                {.function = ops::Reduce::sum}));
    for (const auto& p : network.parameters()) gradients[is_native].add(p.name, grad_of(p.tensor));
  }
  ASSERT_EQ(gradients[0].size(), gradients[1].size());
  for (const auto& [name, expected] : gradients[1]) {
    const std::vector<double> a = gradients[0].at(name).to_doubles(), e = expected.to_doubles();
    double distance = 0, norm = 0;
    for (size_t i = 0; i < e.size(); ++i) {
      distance += (a[i] - e[i]) * (a[i] - e[i]);
      norm += e[i] * e[i];
    }
    EXPECT_LE(std::sqrt(distance), 1e-4 * std::sqrt(norm)) << name;
  }
  const StateDict state = graph.model.network->state_dict();
  for (const auto& [name, tensor] : native.model.network->state_dict()) {
    if (name.ends_with("num_batches_tracked")) continue;
    const std::vector<double> a = state.at(name).to_doubles(), e = tensor.to_doubles();
    for (size_t i = 0; i < e.size(); ++i)
      ASSERT_NEAR(a[i], e[i], 1e-4 * std::abs(e[i]) + 1e-5) << name;
  }
}

}  // namespace
}  // namespace graft::models
