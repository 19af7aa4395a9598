// torchvision's DeepLabV3 and FCN state dicts: logits per pixel
// (tests/data/networks/make_segmentation.py), what is left out, the encoder alone.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/import.h"
#include "graft/models/segmentation/segmentation_network.h"
#include "graft/tests/support/full_size.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

// Holds modules under torchvision's names.
class Named final : public Module {
 public:
  void add(const std::string& name, std::shared_ptr<Module> module) {
    register_module(name, std::move(module));
  }
  Tensor forward(const Tensor& x) override { return x; }
};

// What torch.save writes of such a network: three classes, an auxiliary head.
StateDict torchvision_state(const std::string& name) {
  const ScopedUnsetValues unset;
  ResNetConfig resnet = resnet_config(name.substr(name.find('_') + 1));
  resnet.classes = 0;
  const std::string decoder = name.substr(0, name.find('_'));
  const auto part = [&](const ResNetConfig& encoder, const std::string& kind) {
    SegmentationNetwork network({.encoder = encoder, .decoder = kind, .classes = 3});
    std::shared_ptr<Module> found;
    for (const auto& [child, module] : network.children())
      if (child == "decoder") found = module;
    return found;
  };
  Named all;
  all.add("backbone", std::make_shared<ResNet>(resnet));
  all.add("classifier", part(resnet, decoder));
  resnet.stages = 3;
  all.add("aux_classifier", part(resnet, "fcn"));
  test::fill_by_formula(all);
  return all.state_dict();
}

class TorchvisionSegmentation : public ::testing::TestWithParam<std::string> {};

TEST_P(TorchvisionSegmentation, LogitsAreTorchvisions) {
  const std::string name = GetParam();
  if (!test::full_size() && name.ends_with("101")) GTEST_SKIP() << "one of the large ones";
  const TemporaryFolder folder;
  io::write_safetensors(folder / "network.safetensors", torchvision_state(name));
  const Imported imported = import_weights(folder / "network.safetensors", {.examine = false});
  const Architecture& architecture = imported.model.card.architecture;
  EXPECT_EQ(name_of(architecture), name);
  EXPECT_EQ(classes_of(architecture), 3);
  EXPECT_EQ(std::get<SegmentationConfig>(architecture).output_stride, 8);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image(name, {1, 3, 64, 96}).to(MemoryFormat::channels_last);
  const Tensor expected = io::read_weights(GRAFT_TEST_DATA "/networks/segmentation.safetensors")
                              .tensors.at(name + ".logits");
  EXPECT_LE(
      test::relative_error(imported.model.network->forward(x).to_doubles(), expected.to_doubles()),
      1e-4);
}

INSTANTIATE_TEST_SUITE_P(Names, TorchvisionSegmentation,
                         ::testing::Values("deeplabv3_resnet50", "deeplabv3_resnet101",
                                           "fcn_resnet50", "fcn_resnet101"),
                         [](const auto& tested) { return tested.param; });

TEST(TorchvisionSegmentation, TheCertificateSaysWhatIsAssumedAndLeftOut) {
  const TemporaryFolder folder;
  StateDict state;
  for (const auto& [name, tensor] : torchvision_state("fcn_resnet18"))
    state.add("module." + name, tensor);
  io::write_safetensors(folder / "network.safetensors", state);
  const Imported imported = import_weights(folder / "network.safetensors");
  const Certificate& c = imported.certificate;
  EXPECT_NE(c.architecture.find("fcn_resnet18: fcn decoder on resnet18"), std::string::npos)
      << c.architecture;
  const auto says = [&](const std::string& words) {
    return std::any_of(c.notes.begin(), c.notes.end(), [&](const std::string& note) {
      return note.find(words) != std::string::npos;
    });
  };
  EXPECT_TRUE(says("taken to be dilation")) << c.to_text();
  EXPECT_TRUE(says("auxiliary head (8 tensors under module.aux_classifier.) is left out"))
      << c.to_text();
  EXPECT_TRUE(std::find(c.ignored.begin(), c.ignored.end(), "module.aux_classifier.4.weight") !=
              c.ignored.end());
  EXPECT_EQ(c.head, "decoder, 3 classes, from the file");
  EXPECT_FALSE(c.stem_pool.what.empty());
}

TEST(TorchvisionSegmentation, TheEncoderAloneIsAResNet) {
  const TemporaryFolder folder;
  io::write_safetensors(folder / "network.safetensors", torchvision_state("fcn_resnet18"));
  const Imported imported =
      import_weights(folder / "network.safetensors", {.prefix = "backbone", .examine = false});
  EXPECT_EQ(name_of(imported.model.card.architecture), "resnet18");
  EXPECT_THROW(import_weights(folder / "network.safetensors", {.cut = "layer3"}), Error);
}

}  // namespace
}  // namespace graft::models
