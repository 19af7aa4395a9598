// Segmentation models: heads given and taken away, files, cards, ONNX.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/import.h"
#include "graft/models/initialization.h"
#include "graft/models/onnx_export.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/models/segmentation/segmentation_network.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

// A classifier, as an import gives it.
Model classifier_model(const Architecture& architecture, int64_t size) {
  Model model;
  model.card.architecture = architecture;
  model.card.preprocess = io::imagenet_preprocess(size);
  model.network = make_network(architecture);
  test::fill_by_formula(*model.network);
  model.network->train(false);
  return model;
}

Model small_classifier() {
  ResNetConfig config;
  config.name = "small";
  config.depths = {1, 1, 1, 1};
  config.bottleneck = false;
  config.classes = 5;
  return classifier_model(config, 64);
}

Tensor test_image(int64_t height, int64_t width) {
  return test::formula_image("image", {2, 3, height, width}).to(MemoryFormat::channels_last);
}

std::vector<double> answers_of(const Model& model) {
  const NoGradGuard no_grad;
  return model.network->forward(test_image(64, 64)).to_doubles();
}

TEST(SegmentationHead, IsKaimingsFromTheSeedWithTheBias) {
  Model model = small_classifier(), again = small_classifier(), other = small_classifier();
  const StateDict before = model.network->state_dict();
  const SegmentationHead head{.decoder = "unet", .classes = 2, .bias = {-1.5f, 0.5f}, .seed = 3};
  give_segmentation_head(model, head);
  give_segmentation_head(again, head);
  give_segmentation_head(other, {.decoder = "unet", .classes = 2, .seed = 4});
  const StateDict state = model.network->state_dict();
  for (const auto& [name, tensor] : state)
    if (!name.starts_with("decoder.")) {
      EXPECT_EQ(tensor.to_doubles(), before.at(name).to_doubles()) << name;
    }
  EXPECT_FALSE(state.contains("fc.weight"));
  EXPECT_EQ(state.at("decoder.head.bias").to_doubles(), (std::vector<double>{-1.5, 0.5}));
  const std::vector<double> weight = state.at("decoder.up16.0.conv.weight").to_doubles();
  double squares = 0;
  for (const double w : weight) squares += w * w;
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(weight.size())), std::sqrt(2 / (128 * 9.0)),
              1e-3);
  EXPECT_EQ(weight, again.network->state_dict().at("decoder.up16.0.conv.weight").to_doubles());
  EXPECT_NE(weight, other.network->state_dict().at("decoder.up16.0.conv.weight").to_doubles());
  const auto& config = std::get<SegmentationConfig>(model.card.architecture);
  EXPECT_EQ(config.height, 64);
  EXPECT_EQ(config.widths, (std::vector<int64_t>{128, 64, 48, 32, 16}));
  EXPECT_EQ(classes_of(model.card.architecture), 2);
  EXPECT_EQ(describe(model.card.architecture),
            "unet_small: unet decoder on small, 512 features, for images of 64x64, 2 classes");
}

TEST(SegmentationHead, OfOneDecoderIsKeptButForItsEnd) {
  Model model = small_classifier();
  give_segmentation_head(model, {.decoder = "fcn", .classes = 2, .output_stride = 16});
  const StateDict before = model.network->state_dict();
  give_segmentation_head(model, {.decoder = "fcn", .classes = 4, .seed = 9});
  const StateDict state = model.network->state_dict();
  EXPECT_EQ(state.at("decoder.0.weight").to_doubles(), before.at("decoder.0.weight").to_doubles());
  EXPECT_EQ(state.at("decoder.4.weight").shape(), (Shape{4, 128, 1, 1}));
  EXPECT_EQ(std::get<SegmentationConfig>(model.card.architecture).output_stride, 16);
  give_segmentation_head(model, {.decoder = "fpn", .classes = 4});
  EXPECT_TRUE(model.network->state_dict().contains("decoder.lateral4.weight"));
  EXPECT_EQ(std::get<SegmentationConfig>(model.card.architecture).output_stride, 0);
}

TEST(SegmentationHead, GivesWayToAClassifier) {
  Model model = small_classifier(), plain = small_classifier();
  give_segmentation_head(model, {.decoder = "unet", .classes = 2});
  replace_head(model, 3, 1);
  replace_head(plain, 3, 1);
  EXPECT_EQ(to_json(model.card.architecture), to_json(plain.card.architecture));
  EXPECT_EQ(answers_of(model), answers_of(plain));
}

TEST(SegmentationHead, IsRefusedInASentence) {
  const auto refusal = [](Model model, const SegmentationHead& head) -> std::string {
    try {
      give_segmentation_head(model, head);
    } catch (const Error& error) {
      return error.code() == ErrorCode::bad_input ? error.what() : "";
    }
    return "";
  };
  EXPECT_NE(refusal(small_classifier(), {.decoder = "segnet"}).find("expected one of unet"),
            std::string::npos);
  EXPECT_NE(refusal(small_classifier(), {.classes = 0}).find("at least one map"),
            std::string::npos);
  EXPECT_NE(refusal(small_classifier(), {.classes = 2, .bias = {1}}).find("biases for 1"),
            std::string::npos);
  EXPECT_NE(refusal(small_classifier(), {.height = 100, .width = 64})
                .find("images of 100x64, expected sides that 32 divides"),
            std::string::npos);
  EXPECT_NE(refusal(classifier_model(FeatureConfig{.name = "squeezenet1_1", .classes = 2}, 64), {})
                .find("squeezenet1_1 has no maps"),
            std::string::npos);
}

// An ONNX file as the graph that it is, cut behind the last map.
TEST(SegmentationHead, GoesBehindGraphs) {
  const Model native = small_classifier();
  io::onnx::Model exported = to_onnx(*native.network, native.card);
  exported.metadata.clear();
  Model model = import_graph(exported, {}).model, twin = small_classifier();
  ASSERT_TRUE(std::holds_alternative<GraphConfig>(model.card.architecture));
  const SegmentationHead head{.decoder = "unet", .classes = 2, .height = 64, .width = 64};
  give_segmentation_head(model, head);
  give_segmentation_head(twin, head);
  const std::vector<double> expected = answers_of(twin);
  EXPECT_LE(test::relative_error(answers_of(model), expected), 1e-5);
  EXPECT_EQ(model.network->stages().back(), "decoder");
  const TemporaryFolder folder;
  save_model(folder / "model.safetensors", *model.network, model.card);
  const Model loaded = load_model(folder / "model.safetensors");
  EXPECT_EQ(answers_of(loaded), answers_of(model));
  const NoGradGuard no_grad;
  Tensor y = test_image(64, 64);
  for (size_t stage = 0; stage < loaded.network->stages().size(); ++stage)
    y = loaded.network->forward_stages(y, stage, stage + 1);
  EXPECT_EQ(y.to_doubles(), answers_of(loaded));
  replace_head(model, 3, 1);
  EXPECT_EQ(model.network->forward(test_image(64, 64)).shape(), (Shape{2, 3}));
}

class SegmentationModels : public ::testing::TestWithParam<std::string> {
 protected:
  static Model model() {
    Model model = small_classifier();
    give_segmentation_head(model, {.decoder = GetParam(), .classes = 2});
    test::fill_by_formula(*model.network);
    model.card.labels = {"cell", "wall"};
    return model;
  }
};

TEST_P(SegmentationModels, ComeBackFromAFileBitForBit) {
  const Model saved = model();
  const TemporaryFolder folder;
  save_model(folder / "model.safetensors", *saved.network, saved.card);
  const Model loaded = load_model(folder / "model.safetensors");
  EXPECT_EQ(loaded.card.to_json(), saved.card.to_json());
  EXPECT_EQ(answers_of(loaded), answers_of(saved));
  const Imported imported = import_weights(folder / "model.safetensors");
  EXPECT_EQ(imported.certificate.architecture, describe(saved.card.architecture));
  EXPECT_EQ(imported.certificate.head, "decoder, 2 classes, from the file");
}

TEST_P(SegmentationModels, LeaveAsOnnx) {
  const Model saved = model();
  const io::onnx::Model exported = to_onnx(*saved.network, saved.card);
  EXPECT_EQ(exported.graph.outputs.at(0).name, "logits");
  EXPECT_EQ(exported.graph.outputs.at(0).dims.at(3).value, 64);
  const TemporaryFolder folder;
  io::onnx::write_model(folder / "model.onnx", exported);
  const std::vector<double> expected = answers_of(saved);
  EXPECT_EQ(answers_of(load_model(folder / "model.onnx")), expected);  // by its card
  const NoGradGuard no_grad;
  GraphModule nodes(read_graph(io::onnx::read_model(folder / "model.onnx")));
  nodes.train(false);
  EXPECT_LE(test::relative_error(
                nodes.run(std::vector<Tensor>{test_image(64, 64)}).at(0).to_doubles(), expected),
            1e-5);
}

INSTANTIATE_TEST_SUITE_P(Decoders, SegmentationModels, ::testing::ValuesIn(decoder_names()),
                         [](const auto& tested) { return tested.param; });

TEST(SegmentationCard, DamagedOnesAreRefused) {
  Model model = small_classifier();
  give_segmentation_head(model, {.classes = 2});
  const std::string card = to_json(model.card.architecture);
  const auto damaged = [&](const std::string& from, const std::string& to) {
    std::string text = card;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in " << text;
    return text.replace(at, from.size(), to);
  };
  EXPECT_EQ(to_json(architecture_from_json(card)), card);
  EXPECT_THROW(architecture_from_json(damaged("[128,64", "[0,64")), Error);
  EXPECT_THROW(architecture_from_json(damaged("[128,64", "[128.5,64")), Error);
  EXPECT_THROW(architecture_from_json(damaged("\"height\":64", "\"height\":0")), Error);
  EXPECT_THROW(make_network(architecture_from_json(damaged("[128,64,48", "[128,64"))), Error);
  EXPECT_THROW(make_network(architecture_from_json(damaged("\"unet\"", "\"ynet\""))), Error);
  std::string nested = damaged("\"encoder\":{", "\"encoder\":" + card + ",\"was\":{");
  EXPECT_THROW(architecture_from_json(nested), Error);
}

}  // namespace
}  // namespace graft::models
