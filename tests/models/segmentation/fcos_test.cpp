// The decoder that finds objects: its maps, where it taps, how it starts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/models/architecture.h"
#include "graft/models/initialization.h"
#include "graft/models/segmentation/decoder.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/models/segmentation/segmentation_network.h"

namespace graft::models {
namespace {

// Cut where strides end at 16; or a CIFAR ResNet, whose end at 4.
Model headless(bool is_cifar, int64_t size) {
  ResNetConfig cut;
  cut.name = "small";
  cut.depths = {1, 1, 1, 1};
  cut.bottleneck = false;
  cut.stages = 3;
  cut.classes = 0;
  Model model;
  model.card.architecture =
      is_cifar ? Architecture(CifarResNetConfig{.depth = 8, .classes = 0}) : Architecture(cut);
  model.card.preprocess = io::imagenet_preprocess(size);
  model.network = make_network(model.card.architecture);
  initialize(*model.network, 5);
  model.network->train(false);
  return model;
}

TEST(Fcos, GivesMapsAtStride8) {
  for (const bool is_cifar : {false, true}) {
    Model model = headless(is_cifar, 64);
    const std::vector<float> bias{-4.6f, -4.6f, -4.6f, 1.4f, 1.4f, 1.4f, 1.4f, 0};
    give_segmentation_head(model, {.decoder = "fcos", .classes = 8, .bias = bias, .seed = 3});
    auto& network = dynamic_cast<SegmentationNetwork&>(*model.network);
    const Tensor x = Tensor::zeros({1, 3, 64, 96}, {.format = MemoryFormat::channels_last});
    const Tensor y = network.forward_stages(x, 0, network.stages().size());
    EXPECT_EQ(y.shape(), Shape({1, 8, 8, 12})) << is_cifar;
    const StateDict tensors = network.state_dict();
    EXPECT_FLOAT_EQ(tensors.find("decoder.cls.bias").data<float>()[1], -4.6f);
    EXPECT_FLOAT_EQ(tensors.find("decoder.box.bias").data<float>()[3], 1.4f);
    EXPECT_FLOAT_EQ(tensors.find("decoder.fit.bias").data<float>()[0], 0);
    const Tensor weight = tensors.find("decoder.cls.weight");
    EXPECT_EQ(weight.shape(), Shape({3, 64, 3, 3}));
    for (int64_t i = 0; i < weight.numel(); ++i)
      ASSERT_LE(std::abs(weight.data<float>()[i]), 1 / 24.0f);
    EXPECT_EQ(segmentation_name(network.config()).substr(0, 5), "fcos_");
    remove_segmentation_head(model);
    EXPECT_FALSE(std::holds_alternative<SegmentationConfig>(model.card.architecture));
  }
}

// Stage by stage, as with cached features, the bits are those of the whole.
TEST(Fcos, StagesAreTheWhole) {
  Model model = headless(false, 64);
  give_segmentation_head(model, {.decoder = "fcos", .classes = 6, .seed = 3});
  auto& network = dynamic_cast<SegmentationNetwork&>(*model.network);
  EXPECT_EQ(network.taps().front().stride, 8);
  Tensor x = Tensor::full({1, 3, 64, 64}, 0.25).to(MemoryFormat::channels_last);
  const Tensor whole = network.forward_stages(x, 0, network.stages().size());
  for (size_t stage = 0; stage < network.stages().size(); ++stage)
    x = network.forward_stages(x, stage, stage + 1);
  EXPECT_EQ(x.to_doubles(), whole.to_doubles());
}

TEST(Fcos, IsNoDecoderOfPixels) {
  const std::vector<std::string> names = decoder_names();
  EXPECT_EQ(std::find(names.begin(), names.end(), "fcos"), names.end());
  EXPECT_EQ(std::string(decoder_kind("fcos").name), "fcos");
}

}  // namespace
}  // namespace graft::models
