// One network in four formats gives one model, bit for bit. (A whole ResNet-50: tests/data/networks/check_formats.py.)
#include <gtest/gtest.h>

#include "graft/core/autograd/record.h"
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

TEST(NetworkFormats, FourFilesOneModel) {
  const TemporaryFolder folder;
  const std::string pth = GRAFT_TEST_DATA "/networks/cut18.pth", onnx = GRAFT_TEST_DATA "/networks/cut18.onnx";
  const io::WeightFile source = io::read_weights(pth);
  io::write_safetensors(folder / "same.safetensors", source.tensors);
  io::write_npz(folder / "same.npz", source.tensors);

  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 48, 40}).to(MemoryFormat::channels_last);
  StateDict first;
  std::vector<double> features;
  for (const std::string& file : {pth, onnx, folder / "same.safetensors", folder / "same.npz"}) {
    const Imported imported = import_weights(file, {.arch = "resnet18"});
    EXPECT_EQ(name_of(imported.model.card.architecture), "resnet18") << file;
    StagedNetwork& network = *imported.model.network;
    EXPECT_EQ(network.stages(), (std::vector<std::string>{"stem", "layer1", "pool"})) << file;
    const StateDict state = network.state_dict();
    const std::vector<double> here = network.forward(x).to_doubles();
    if (first.empty()) {
      first = state;
      features = here;
      for (const auto& [name, tensor] : source.tensors) EXPECT_EQ(state.at(name).to_doubles(), tensor.to_doubles()) << name;
    }
    ASSERT_EQ(state.size(), first.size()) << file;
    for (const auto& [name, tensor] : first) EXPECT_EQ(state.at(name).to_doubles(), tensor.to_doubles()) << file << ": " << name;
    EXPECT_EQ(here, features) << file;
  }
}

}  // namespace
}  // namespace graft::models
