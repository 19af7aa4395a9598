// Encoders with decoders: what is tapped, that stages one by one are the whole network bit for bit,
// gradients, freezing, sizes.
#include "graft/models/segmentation/segmentation_network.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/segmentation/decoder.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/train/features.h"

namespace graft::models {
namespace {

EncoderArchitecture encoder_named(const std::string& name) {
  Architecture architecture = architecture_named(name);
  std::visit([](auto& config) { config.classes = 0; }, architecture);
  if (auto* features = std::get_if<FeatureConfig>(&architecture)) features->linear_head = true;
  return encoder_architecture(architecture);
}

// Of few layers: one block a stage.
EncoderArchitecture small_resnet() {
  ResNetConfig config;
  config.name = "small";
  config.depths = {1, 1, 1, 1};
  config.bottleneck = false;
  config.classes = 0;
  return config;
}
EncoderArchitecture small_cifar() { return CifarResNetConfig{.depth = 8, .classes = 0}; }

SegmentationConfig config_of(EncoderArchitecture encoder, const std::string& decoder,
                             int64_t height, int64_t width, int64_t classes = 2) {
  return {.encoder = std::move(encoder),
          .decoder = decoder,
          .classes = classes,
          .height = height,
          .width = width,
          .output_stride = decoder == "deeplabv3" ? 8 : 0};
}

std::shared_ptr<SegmentationNetwork> filled_network(const SegmentationConfig& config) {
  const ScopedUnsetValues unset;
  auto network = std::make_shared<SegmentationNetwork>(config);
  test::fill_by_formula(*network);
  network->train(false);
  return network;
}

std::string refusal_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

using Strides = std::vector<int64_t>;

Strides tapped_strides(const EncoderArchitecture& encoder) {
  const ScopedUnsetValues unset;
  const auto network = make_network(whole_architecture(encoder));
  Strides strides;
  for (const EncoderMap& tap : maps_of(*network, 3).taps) strides.push_back(tap.stride);
  return strides;
}

TEST(EncoderMaps, AreFoundFromShapes) {
  const Strides all = {2, 4, 8, 16, 32};
  for (const char* name : {"resnet18", "resnet50d", "seresnet18", "mobilenet_v2", "mobilenet_v2_tf",
                           "mobilenet_v3_small", "efficientnet_b0", "vgg11_bn", "densenet121"})
    EXPECT_EQ(tapped_strides(encoder_named(name)), all) << name;
  EXPECT_EQ(tapped_strides(encoder_named("cifar_resnet20")), (Strides{2, 4}));
  auto cut = std::get<ResNetConfig>(encoder_named("resnet18"));
  cut.stages = 3;
  EXPECT_EQ(tapped_strides(cut), (Strides{2, 4, 8, 16}));
  cut.small_stem = true;
  EXPECT_EQ(tapped_strides(cut), (Strides{2, 4}));
}

TEST(EncoderMaps, TapTheLastMapOfAStride) {
  const auto network = make_network(whole_architecture(encoder_named("densenet121")));
  std::vector<std::string> stages;
  for (const EncoderMap& tap : maps_of(*network, 3).taps)
    stages.push_back(str(network->stages()[tap.stage], " ", tap.channels));
  EXPECT_EQ(stages, (std::vector<std::string>{"features.pool0 64", "features.denseblock1 256",
                                              "features.denseblock2 512",
                                              "features.denseblock3 1024", "features.norm5 1024"}));
}

// Their windows are not padded, so that no map is the image's size over a whole number.
TEST(EncoderMaps, SqueezeNetHasNone) {
  for (const char* name : {"squeezenet1_0", "squeezenet1_1"}) {
    const std::string said =
        refusal_of([&] { SegmentationNetwork(config_of(encoder_named(name), "unet", 64, 64)); });
    EXPECT_NE(said.find(str(name, " has no maps at strides 2 to 32")), std::string::npos) << said;
    EXPECT_NE(said.find("features.0"), std::string::npos) << said;
  }
}

struct NetworkCase {
  std::string name;
  SegmentationConfig config;
};
void PrintTo(const NetworkCase& c, std::ostream* out) { *out << c.name; }

class SegmentationNetworks : public ::testing::TestWithParam<NetworkCase> {};

TEST_P(SegmentationNetworks, AreTheirStagesOneByOneBitForBit) {
  const SegmentationConfig& config = GetParam().config;
  const auto network = filled_network(config);
  const NoGradGuard no_grad;
  for (const MemoryFormat format : {MemoryFormat::channels_last, MemoryFormat::contiguous}) {
    const Tensor x = test::formula_image("x", {2, 3, config.height, config.width}).to(format);
    const Tensor whole = network->forward(x);
    EXPECT_EQ(whole.shape(), (Shape{2, config.classes, config.height, config.width}));
    Tensor y = x;
    const size_t stages = network->stages().size();
    for (size_t stage = 0; stage < stages; ++stage) {
      y = network->forward_stages(y, stage, stage + 1);
      if (stage + 1 < stages && format == MemoryFormat::channels_last) {
        EXPECT_EQ(network->forward_stages(y, stage + 1, stages).to_doubles(), whole.to_doubles())
            << network->stages()[stage];
      }
    }
    EXPECT_EQ(y.format(), whole.format());
    EXPECT_EQ(y.to_doubles(), whole.to_doubles());
  }
}

TEST_P(SegmentationNetworks, AnswerAnImageAloneAsInABatch) {
  const SegmentationConfig& config = GetParam().config;
  const auto network = filled_network(config);
  const NoGradGuard no_grad;
  const Tensor x =
      test::formula_image("x", {3, 3, config.height, config.width}).to(MemoryFormat::channels_last);
  const std::vector<double> batch = network->forward(x).to_doubles();
  const auto each = static_cast<std::ptrdiff_t>(batch.size() / 3);
  for (int64_t n = 0; n < 3; ++n) {
    const std::vector<double> alone = network->forward(x.narrow_batch(n, 1).clone()).to_doubles();
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), batch.begin() + n * each)) << n;
  }
}

// What a run with a frozen encoder does: the plan's features, cached, then the decoder.
TEST_P(SegmentationNetworks, FrozenEncodersCompile) {
  const SegmentationConfig& config = GetParam().config;
  const auto network = filled_network(config);
  const size_t encoder = network->stages().size() - 1;
  train::PrefixRunner prefix(*network, encoder);
  const NoGradGuard no_grad;
  const Tensor x =
      test::formula_image("x", {2, 3, config.height, config.width}).to(MemoryFormat::channels_last);
  const Tensor features = prefix(x);
  EXPECT_EQ(prefix.refusal(), "");
  EXPECT_LE(
      test::relative_error(network->forward_stages(features, encoder, encoder + 1).to_doubles(),
                           network->forward(x).to_doubles()),
      1e-4);
}

TEST_P(SegmentationNetworks, TakeAnySizeThatTheStrideDivides) {
  const SegmentationConfig& config = GetParam().config;
  const auto network = filled_network(config);
  const int64_t side = network->divisor();
  const NoGradGuard no_grad;
  const auto image = [](int64_t height, int64_t width) {
    return test::formula_image("x", {1, 3, height, width}).to(MemoryFormat::channels_last);
  };
  EXPECT_EQ(network->forward(image(3 * side, side)).shape(),
            (Shape{1, config.classes, 3 * side, side}));
  const std::string said = refusal_of([&] { network->forward(image(side, side + side / 2)); });
  EXPECT_NE(said.find(str("expected sides that ", side, " divides")), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SegmentationNetworks,
    ::testing::Values(
        NetworkCase{"unet_resnet", config_of(small_resnet(), "unet", 32, 64)},
        NetworkCase{"fpn_resnet", config_of(small_resnet(), "fpn", 32, 64)},
        NetworkCase{"fcn_resnet", config_of(small_resnet(), "fcn", 32, 64)},
        NetworkCase{"deeplabv3_resnet", config_of(small_resnet(), "deeplabv3", 32, 64)},
        NetworkCase{"unet_cifar", config_of(small_cifar(), "unet", 16, 8, 1)},
        NetworkCase{"fpn_cifar", config_of(small_cifar(), "fpn", 16, 8)},
        NetworkCase{"unet_mobilenet",
                    config_of(encoder_named("mobilenet_v3_small"), "unet", 32, 32)},
        NetworkCase{"unet_densenet", config_of(encoder_named("densenet121"), "unet", 32, 32)}),
    [](const auto& tested) { return tested.param.name; });

TEST(SegmentationNetwork, HandsOnTheTappedMapsBesideTheRunningOne) {
  const auto network = filled_network(config_of(small_resnet(), "unet", 32, 64));
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("x", {2, 3, 32, 64}).to(MemoryFormat::channels_last);
  // 64 channels at strides 2 and 4, 128 at 8.
  const int64_t stem = 64 * 16 * 32, first = 64 * 8 * 16, second = 128 * 4 * 8;
  EXPECT_EQ(network->forward_stages(x, 0, 1).shape(), (Shape{2, stem + first, 1, 1}));
  EXPECT_EQ(network->forward_stages(x, 0, 2).shape(), (Shape{2, stem + first, 1, 1}));
  EXPECT_EQ(network->forward_stages(x, 0, 3).shape(), (Shape{2, stem + first + second, 1, 1}));
  const auto plain = filled_network(config_of(small_resnet(), "fcn", 32, 64));
  EXPECT_EQ(plain->forward_stages(x, 0, 3).shape(), (Shape{2, 128, 4, 8}));
  const std::string said = refusal_of([&] {
    network->forward_stages(test::formula_image("x", {1, 3, 64, 64}), 0, 2);
  });
  EXPECT_NE(said.find("images of 32x64 alone"), std::string::npos) << said;
}

TEST(SegmentationNetwork, KeepsTheEncodersNames) {
  const auto network = filled_network(config_of(encoder_named("resnet18"), "unet", 64, 64));
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 0;
  const ResNet encoder(config);
  const StateDict state = network->state_dict();
  for (const auto& [name, tensor] : encoder.state_dict()) EXPECT_TRUE(state.contains(name)) << name;
  for (const auto& [name, tensor] : state)
    EXPECT_TRUE(name.starts_with("decoder.") || encoder.state_dict().contains(name)) << name;
  EXPECT_EQ(network->stages(),
            (std::vector<std::string>{"stem", "layer1", "layer2", "layer3", "layer4", "decoder"}));
  EXPECT_EQ(state.at("decoder.head.weight").shape(), (Shape{2, 16, 1, 1}));
}

Tensor weighted_loss(const Tensor& logits) {
  const Tensor weights = test::formula_image("loss", logits.shape()).to(logits.dtype());
  return functional::mean_squared_error(logits, weights.to(logits.format()));
}

// Central differences in double, at one element of each parameter.
void expect_gradients(const SegmentationConfig& config) {
  const auto network = filled_network(config);
  network->to(DType::f64);
  const Tensor x = test::formula_image("gradients", {2, 3, config.height, config.width})
                       .to(DType::f64)
                       .to(MemoryFormat::channels_last);
  backward(weighted_loss(network->forward(x)));
  const NoGradGuard no_grad;
  for (const auto& [name, tensor] : network->parameters()) {
    ASSERT_TRUE(grad_of(tensor).defined()) << name;
    const Tensor before = tensor.clone();
    const std::vector<double> gradient = grad_of(tensor).to_doubles();
    const size_t at = gradient.size() / 2;
    const auto loss_at = [&](double delta) {
      std::vector<double> values = before.to_doubles();
      values[at] += delta;
      Tensor(tensor).copy_from(Tensor::of(before.shape(), values));
      return weighted_loss(network->forward(x)).item();
    };
    const double step = 1e-6, numeric = (loss_at(step) - loss_at(-step)) / (2 * step);
    Tensor(tensor).copy_from(before);
    EXPECT_NEAR(gradient[at], numeric, 1e-5 + 1e-3 * std::abs(numeric)) << name;
  }
}

TEST(SegmentationNetwork, GradientsAreFiniteDifferences) {
  for (const char* decoder : {"unet", "fpn", "fcn"}) {
    SegmentationConfig config = config_of(small_cifar(), decoder, 8, 8);
    if (config.decoder == "unet") config.widths = {8, 4};
    if (config.decoder == "fpn") config.widths = {8, 4};
    expect_gradients(config);
  }
  SegmentationConfig atrous = config_of(small_cifar(), "deeplabv3", 8, 8);
  atrous.widths = {4};
  expect_gradients(atrous);
}

TEST(SegmentationNetwork, AFrozenEncoderStaysAsItIs) {
  const auto network = filled_network(config_of(small_resnet(), "unet", 32, 32));
  const size_t decoder = network->stages().size() - 1;
  for (size_t stage = 0; stage < decoder; ++stage) network->freeze_stage(stage);
  EXPECT_EQ(network->frozen_stages(), decoder);
  network->train(true);
  StateDict before;
  for (const auto& [name, tensor] : network->state_dict()) before.add(name, tensor.clone());
  const Tensor x = test::formula_image("x", {2, 3, 32, 32}).to(MemoryFormat::channels_last);
  const auto gradients = [&](const Tensor& logits) {
    network->zero_grad();
    backward(weighted_loss(logits));
    std::vector<std::vector<double>> all;
    for (const auto& [name, tensor] : network->parameters()) {
      EXPECT_EQ(grad_of(tensor).defined(), name.starts_with("decoder.")) << name;
      if (grad_of(tensor).defined()) all.push_back(grad_of(tensor).to_doubles());
    }
    return all;
  };
  const auto whole = gradients(network->forward(x));
  // From the boundary, as it is cached: the same gradients.
  const Tensor features = network->forward_stages(x, 0, decoder).detach();
  EXPECT_EQ(gradients(network->forward_stages(features, decoder, decoder + 1)), whole);
  bool moved = false;
  for (const auto& [name, tensor] : network->parameters())
    if (grad_of(tensor).defined()) {
      const NoGradGuard no_grad;
      Tensor(tensor).copy_from(functional::sub(tensor, grad_of(tensor)));
    }
  for (const auto& [name, tensor] : network->state_dict()) {
    if (name.ends_with("num_batches_tracked")) continue;
    const bool same = tensor.to_doubles() == before.at(name).to_doubles();
    if (name.starts_with("decoder.")) {
      moved = moved || !same;
    } else {
      EXPECT_TRUE(same) << name;
    }
  }
  EXPECT_TRUE(moved);
}

// Behind the stages that no longer stride, every place that there was holds what it held.
TEST(DilatedEncoders, ComputeWhatTheyDidAtThePlacesThatThereWere) {
  auto caffe = std::get<ResNetConfig>(encoder_named("resnet26"));
  caffe.stride_in_3x3 = false;
  for (const EncoderArchitecture& encoder :
       {small_resnet(), encoder_named("resnet26"), EncoderArchitecture(caffe),
        encoder_named("mobilenet_v2")}) {
    const ScopedUnsetValues unset;
    const auto plain = make_network(whole_architecture(encoder)),
               dilated = make_network(whole_architecture(encoder));
    test::fill_by_formula(*plain);
    test::fill_by_formula(*dilated);
    dilate_strides(*dilated, maps_of(*dilated, 3), 8);
    const EncoderMaps maps = maps_of(*dilated, 3);
    EXPECT_EQ(maps.stride(), 8);
    const size_t stages = maps.results.size();
    plain->train(false);
    dilated->train(false);
    const NoGradGuard no_grad;
    const Tensor x = test::formula_image("x", {1, 3, 64, 64}).to(MemoryFormat::channels_last);
    const Tensor few = plain->forward_stages(x, 0, stages);
    const Tensor many = dilated->forward_stages(x, 0, stages);
    ASSERT_EQ(many.size(2), 4 * few.size(2));
    const Tensor picked = functional::average_pool(many, {.window = ops::square_window(1, 4)});
    EXPECT_LE(test::relative_error(picked.to_doubles(), few.to_doubles()), 1e-4)
        << name_of(whole_architecture(encoder));
  }
}

TEST(DilatedEncoders, OthersThanConvolutionsCannotBe) {
  for (const char* name : {"vgg11", "densenet121", "resnet18d", "mobilenet_v2_tf"}) {
    const ScopedUnsetValues unset;
    const std::string said = refusal_of(
        [&] { SegmentationNetwork(config_of(encoder_named(name), "deeplabv3", 64, 64)); });
    EXPECT_NE(said.find(str(name, ": its strides beyond 8 cannot become dilation")),
              std::string::npos)
        << name << said;
  }
}

TEST(Decoders, AreNamed) {
  EXPECT_EQ(decoder_names(), (std::vector<std::string>{"unet", "fpn", "deeplabv3", "fcn"}));
  const std::string said =
      refusal_of([] { SegmentationNetwork(config_of(small_cifar(), "unet++", 8, 8)); });
  EXPECT_NE(said.find("unknown decoder 'unet++'"), std::string::npos) << said;
  EXPECT_NE(refusal_of([] {
              SegmentationNetwork(config_of(small_cifar(), "unet", 9, 8));
            }).find("images of 9x8, expected sides that 4 divides"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::models
