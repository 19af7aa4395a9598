// What `graft verify` says of two models: equal ones, one changed tensor, one changed attribute,
// other shapes.
#include "graft/models/comparison.h"

#include <gtest/gtest.h>

#include <limits>

#include "graft/tests/support/network_formula.h"

namespace graft::models {
namespace {

Model small_resnet(ResNetConfig config) {
  Model model;
  model.card.architecture = config;
  model.card.preprocess = io::imagenet_preprocess(64);
  model.network = make_network(model.card.architecture);
  test::fill_by_formula(*model.network);
  return model;
}

ResNetConfig small_config() {
  ResNetConfig config = resnet_config("resnet50");
  config.stages = 2;
  config.classes = 4;
  return config;
}

TEST(Comparison, EqualModels) {
  Model a = small_resnet(small_config()), b = small_resnet(small_config());
  const Comparison c = compare(a, b);
  EXPECT_TRUE(c.same_weights() && c.same_answers() && c.same_operations && c.same_preprocess);
  EXPECT_EQ(c.answer, 0);
  EXPECT_EQ(c.answer_shapes, "[2,4]");
  EXPECT_EQ(c.first_layer, "");
  EXPECT_NE(c.to_text().find("the same weights, the same answers"), std::string::npos)
      << c.to_text();
}

TEST(Comparison, OneChangedTensorIsNamedAndSoIsItsLayer) {
  Model a = small_resnet(small_config()), b = small_resnet(small_config());
  Tensor weight = b.network->state_dict().at("layer2.1.conv2.weight");
  for (int64_t i = 0; i < weight.numel() / weight.size(0); ++i)
    weight.mutable_data<float>()[i] += 1;  // the first filter
  const Comparison c = compare(a, b);
  ASSERT_EQ(c.tensors.size(), 1u);
  EXPECT_EQ(c.tensors[0].name, "layer2.1.conv2.weight");
  EXPECT_NEAR(c.tensors[0].largest, 1, 1e-5);
  EXPECT_FALSE(c.same_answers());
  EXPECT_EQ(c.first_layer, "layer2.1.conv2");
  EXPECT_NE(c.to_json().find("layer2.1.conv2"), std::string::npos);
}

TEST(Comparison, TheSameWeightsWithAnotherStrideAnswerDifferently) {
  ResNetConfig other = small_config();
  other.stride_in_3x3 = false;
  Model a = small_resnet(small_config()), b = small_resnet(other);
  const Comparison c = compare(a, b);
  EXPECT_TRUE(c.same_weights());
  EXPECT_TRUE(c.comparable);
  EXPECT_FALSE(c.same_answers());
}

TEST(Comparison, ANaNIsNoAgreement) {
  Model a = small_resnet(small_config()), b = small_resnet(small_config());
  b.network->state_dict().at("bn1.bias").mutable_data<float>()[0] =
      std::numeric_limits<float>::quiet_NaN();
  const Comparison c = compare(a, b);
  EXPECT_FALSE(c.same_weights());
  EXPECT_FALSE(c.same_answers());
}

TEST(Comparison, OtherNetworks) {
  ResNetConfig wider = small_config();
  wider.classes = 5;
  Model a = small_resnet(small_config()), b = small_resnet(wider);
  Comparison c = compare(a, b);
  EXPECT_EQ(c.other_shape.size(), 2u);
  EXPECT_FALSE(c.comparable || c.same_answers());
  EXPECT_EQ(c.answer_shapes, "[2,4] and [2,5]");
  ResNetConfig shorter = small_config();
  shorter.stages = 1;
  Model d = small_resnet(shorter);
  c = compare(a, d);
  EXPECT_FALSE(c.only_in_a.empty());
  EXPECT_TRUE(c.only_in_b.empty());
}

}  // namespace
}  // namespace graft::models
