// Weight files as training leaves them: networks under any prefix, by number, with other heads,
// with weights in parts, in shards, with files beside them that say what they are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/models/import.h"
#include "graft/models/initialization.h"
#include "graft/models/labels.h"
#include "graft/models/naming/reparametrised.h"
#include "graft/tests/support/batch_check.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

// The stem and first stage of a ResNet-18, with a head when there are classes.
StateDict first_stage(uint64_t seed = 1, int64_t classes = 0) {
  ResNetConfig config = resnet_config("resnet18");
  config.stages = 1;
  config.classes = classes;
  ResNet network(config);
  initialize(network, seed);
  StateDict state;
  for (const auto& [name, tensor] : network.state_dict())
    if (!name.ends_with("num_batches_tracked")) state.add(name, tensor);
  return state;
}

void add_under(StateDict& to, const std::string& prefix, const StateDict& state) {
  for (const auto& [name, tensor] : state) to.add(prefix + name, tensor);
}

bool mentioned(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

class ImportParts : public testing::Test {
 protected:
  std::string write(const StateDict& state, const std::string& name = "w.safetensors") {
    io::write_safetensors(folder / name, state);
    return folder / name;
  }
  static std::vector<double> features(const Imported& imported) {
    const NoGradGuard no_grad;
    const Tensor x = test::formula_image("x", {2, 3, 32, 32}).to(MemoryFormat::channels_last);
    return imported.model.network->forward(x).to_doubles();
  }
  std::string refusal(const std::string& path, const ImportOptions& options = {}) {
    try {
      test::import_checked(path, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  }
  TemporaryFolder folder;
};

TEST_F(ImportParts, AnyPrefixIsFound) {
  const std::vector<double> wanted = features(test::import_checked(write(first_stage())));
  for (const char* prefix : {"_orig_mod.", "backbone.body.", "net.", "module.encoder.", "a.b.c."}) {
    StateDict state;
    state.add("temperature", Tensor::zeros({1}));
    add_under(state, prefix, first_stage());
    const Imported imported = test::import_checked(write(state));
    EXPECT_EQ(features(imported), wanted) << prefix;
    EXPECT_NE(imported.certificate.naming.find(prefix), std::string::npos);
    EXPECT_EQ(imported.certificate.ignored, std::vector<std::string>{"temperature"});
    test::expect_images_answered_alone(*imported.model.network, 3, 32);
  }
}

TEST_F(ImportParts, TheTrainedEncoderIsTakenBeforeItsFollower) {
  const std::vector<double> wanted = features(test::import_checked(write(first_stage(1))));
  StateDict state;
  state.add("module.queue", Tensor::zeros({4, 8}));
  add_under(state, "module.encoder_k.", first_stage(2));
  add_under(state, "module.encoder_q.", first_stage(1));
  for (const char* layer : {"0", "2"})
    state.add(str("module.encoder_q.fc.", layer, ".weight"), Tensor::full({8, 8}, 0.1));
  const std::string path = write(state);
  const Imported imported = test::import_checked(path);
  EXPECT_EQ(features(imported), wanted);
  EXPECT_TRUE(mentioned(imported.certificate.notes, "'module.encoder_k.' is its slowly following"));
  EXPECT_TRUE(mentioned(imported.certificate.ignored, "module.queue"));
  EXPECT_EQ(imported.certificate.unused.size(), 2u);  // the projection head
  const Imported asked = test::import_checked(path, {.prefix = "module.encoder_k"});
  EXPECT_EQ(features(asked), features(test::import_checked(write(first_stage(2)))));
}

TEST_F(ImportParts, SeveralNetworksAreListed) {
  StateDict state;
  add_under(state, "left.", first_stage(1));
  add_under(state, "right.", first_stage(2));
  const std::string path = write(state), message = refusal(path);
  for (const char* part : {"left.", "right.", "--prefix"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(features(test::import_checked(path, {.prefix = "right."})),
            features(test::import_checked(write(first_stage(2), "other.safetensors"))));
  EXPECT_NE(refusal(path, {.prefix = "middle"}).find("left., right."), std::string::npos);
}

TEST_F(ImportParts, ChildrenByNumber) {
  const std::vector<double> wanted = features(test::import_checked(write(first_stage())));
  for (const char* prefix : {"", "0.", "RCNN_base."}) {
    StateDict state;
    for (const auto& [name, tensor] : first_stage()) {
      const std::string child = name.substr(0, name.find('.'));
      state.add(prefix +
                    std::string(child == "conv1" ? "0"
                                : child == "bn1" ? "1"
                                                 : "4") +
                    name.substr(child.size()),
                tensor);
    }
    state.add(prefix + std::string("9.weight"), Tensor::zeros({3, 64}));
    const Imported imported = test::import_checked(write(state));
    EXPECT_EQ(features(imported), wanted) << prefix;
    EXPECT_EQ(imported.certificate.unused.size(), 1u);
  }
}

TEST_F(ImportParts, AHeadOfSeveralLayersIsLeftOutByName) {
  StateDict state = first_stage();
  const std::vector<double> wanted = features(test::import_checked(write(state)));
  for (const char* layer : {"0", "3"}) {
    state.add(str("fc.", layer, ".weight"), Tensor::full({64, 64}, 0.1));
    state.add(str("fc.", layer, ".bias"), Tensor::zeros({64}));
  }
  const Imported imported = test::import_checked(write(state));
  EXPECT_EQ(features(imported), wanted);
  EXPECT_EQ(imported.certificate.unused.size(), 4u);
  EXPECT_TRUE(mentioned(imported.certificate.notes, "head is left out"));
  EXPECT_NO_THROW(test::import_checked(write(state), {.cut = "layer1"}));
  // What may be part of the backbone is not a head.
  state.add("layer1.0.cbam.weight", Tensor::zeros({4, 64, 1, 1}));
  EXPECT_NE(refusal(write(state)).find("layer1.0.cbam.weight"), std::string::npos);
}

TEST_F(ImportParts, RelativesOfResNetsAreNamed) {
  for (const auto& [part, name] :
       {std::pair{"layer1.0.convs.0.weight", "Res2Net"},
        std::pair{"layer1.0.conv2.conv.weight", "ResNeSt"},
        std::pair{"attnpool.c_proj.weight", "CLIP"},
        std::pair{"layer1.0.se_module.fc1.weight", "SE-ResNet of the legacy kind"}}) {
    StateDict state = first_stage();
    state.add(part, Tensor::zeros({4, 64, 1, 1}));
    const std::string message = refusal(write(state));
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find("exported to ONNX"), std::string::npos) << message;
  }
}

TEST_F(ImportParts, OneOutputIsTwoClasses) {
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 1;
  ResNet network(config);
  initialize(network, 1);
  network.train(false);
  const Imported imported = test::import_checked(write(network.state_dict()));
  EXPECT_EQ(classes_of(imported.model.card.architecture), 2);
  EXPECT_TRUE(mentioned(imported.certificate.notes, "one output is read as two classes"));
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("x", {2, 3, 32, 32}).to(MemoryFormat::channels_last);
  const std::vector<double> one = network.forward(x).to_doubles(), two = features(imported);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(two[2 * i], 0);
    EXPECT_NEAR(two[2 * i + 1], one[i], 1e-5 * std::abs(one[i]) + 1e-6);
  }
}

TEST(Reparametrised, PrunedWeightsAreMasked) {
  StateDict state;
  state.add("conv1.weight_orig", Tensor::of<float>({2, 1, 1, 2}, {1, 2, 3, 4}));
  state.add("conv1.weight_mask", Tensor::of<float>({2, 1, 1, 2}, {1, 0, 0, 1}));
  state.add("bn1.bias", Tensor::zeros({2}));
  std::vector<std::string> notes;
  const StateDict folded = fold_reparametrised(state, notes);
  EXPECT_EQ(folded.size(), 2u);
  EXPECT_EQ(folded.at("conv1.weight").to_doubles(), (std::vector<double>{1, 0, 0, 4}));
  EXPECT_TRUE(mentioned(notes, "1 weights were kept pruned"));
}

TEST(Reparametrised, WeightNormOfBothGenerations) {
  for (const auto& [g, v] :
       {std::pair{"a.weight_g", "a.weight_v"},
        std::pair{"a.parametrizations.weight.original0", "a.parametrizations.weight.original1"}}) {
    StateDict state;
    state.add(g, Tensor::of<float>({2, 1, 1, 1}, {10, 1}));
    state.add(v, Tensor::of<float>({2, 1, 1, 2}, {3, 4, 0, 2}));
    std::vector<std::string> notes;
    EXPECT_EQ(fold_reparametrised(state, notes).at("a.weight").to_doubles(),
              (std::vector<double>{6, 8, 0, 1}));
    EXPECT_TRUE(mentioned(notes, "weight norm"));
  }
}

TEST(Reparametrised, SpectralNormOfBothGenerations) {
  for (const auto& [w, u, v] :
       {std::tuple{"a.weight_orig", "a.weight_u", "a.weight_v"},
        std::tuple{"a.parametrizations.weight.original", "a.parametrizations.weight.0._u",
                   "a.parametrizations.weight.0._v"}}) {
    StateDict state;
    state.add(w, Tensor::of<float>({2, 2}, {4, 0, 0, 2}));
    state.add(u, Tensor::of<float>({2}, {1, 0}));
    state.add(v, Tensor::of<float>({2}, {1, 0}));
    std::vector<std::string> notes;
    EXPECT_EQ(fold_reparametrised(state, notes).at("a.weight").to_doubles(),
              (std::vector<double>{1, 0, 0, 0.5}));
    EXPECT_TRUE(mentioned(notes, "spectral norm"));
  }
}

TEST(Labels, AreReadInTheFormsThatFilesHave) {
  const std::vector<std::string> wanted{"cat", "o'dog"};
  EXPECT_EQ(labels_from_text("cat\no'dog\n"), wanted);
  EXPECT_EQ(labels_from_text("[\"cat\", \"o'dog\"]"), wanted);
  EXPECT_EQ(labels_from_text("{0: 'cat', 1: \"o'dog\"}"), wanted);
  EXPECT_EQ(labels_from_text("{\"1\": \"o'dog\", \"0\": \"cat\"}"), wanted);
  EXPECT_TRUE(labels_from_text("{0: 'cat', 2: 'dog'}").empty());
  EXPECT_TRUE(labels_from_text("{0: 'cat', 1: ").empty());
  EXPECT_TRUE(labels_from_text("[1, 2]").empty());
}

// A whole ResNet-18 of 3 classes, as Hugging Face and timm keep one.
StateDict resnet_of_three() {
  ResNetConfig config = resnet_config("resnet18");
  config.classes = 3;
  ResNet network(config);
  initialize(network, 1);
  return network.state_dict();
}

TEST_F(ImportParts, FilesBesideTheWeightsAreUsed) {
  const std::string path = write(resnet_of_three(), "model.safetensors");
  write_text(folder / "config.json",
             R"({"model_type": "resnet", "id2label": {"0": "cat", "1": "dog", "2": "horse"}})");
  write_text(folder / "preprocessor_config.json",
             R"({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5], "resample": 3,)"
             R"( "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 96}})");
  const Imported imported = test::import_checked(path);
  const ModelCard& card = imported.model.card;
  EXPECT_EQ(card.labels, (std::vector<std::string>{"cat", "dog", "horse"}));
  EXPECT_EQ(card.preprocess.mean, (std::vector<double>{0.5, 0.4, 0.3}));
  EXPECT_EQ(card.preprocess.size, 96);
  EXPECT_EQ(card.preprocess.resize_to, 96);
  EXPECT_EQ(card.preprocess.interpolation, io::Interpolation::bicubic);
  EXPECT_TRUE(card.preprocess_known);
  EXPECT_NE(imported.certificate.preprocess.why.find("preprocessor_config.json"),
            std::string::npos);
  EXPECT_TRUE(mentioned(imported.certificate.notes, "class names from config.json"));

  write_text(folder / "config.json",
             R"({"architecture": "resnet18", "label_names": ["a", "b"], "pretrained_cfg":)"
             R"( {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1], "input_size": [3, 64, 64],)"
             R"( "crop_pct": 0.5, "interpolation": "bicubic"}})");
  write_text(folder / "preprocessor_config.json", "{");
  const Imported timm = test::import_checked(path);
  EXPECT_EQ(timm.model.card.preprocess.size, 64);
  EXPECT_EQ(timm.model.card.preprocess.resize_to, 128);
  EXPECT_TRUE(timm.model.card.labels.empty());
  EXPECT_TRUE(mentioned(timm.certificate.notes, "names 2 classes, the network has 3: not used"));
  EXPECT_TRUE(mentioned(timm.certificate.notes, "preprocessor_config.json beside the file is not"));
}

TEST_F(ImportParts, FilesBesideTheWeightsSayBothSides) {
  const std::string path = write(resnet_of_three(), "model.safetensors");
  write_text(folder / "preprocessor_config.json",
             R"({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],)"
             R"( "size": {"height": 32, "width": 96}})");
  const io::Preprocess p = test::import_checked(path).model.card.preprocess;
  EXPECT_EQ(p.sides(), "32x96");
  EXPECT_EQ(p.fit(), "squash");
}

TEST_F(ImportParts, ShardsAreOneFile) {
  const StateDict whole = first_stage();
  const std::vector<double> wanted = features(test::import_checked(write(whole)));
  StateDict half[2];
  std::string map;
  size_t i = 0;
  for (const auto& [name, tensor] : whole) {
    const size_t at = 2 * i++ / whole.size();
    half[at].add(name, tensor);
    map += str(map.empty() ? "" : ", ", "\"", name, "\": \"model-0000", at + 1,
               "-of-00002.safetensors\"");
  }
  const std::string first = write(half[0], "model-00001-of-00002.safetensors");
  write(half[1], "model-00002-of-00002.safetensors");
  EXPECT_NE(refusal(first).find("is shard 00001 of 00002"), std::string::npos) << refusal(first);
  const std::string index = folder / "model.safetensors.index.json";
  write_text(index, "{\"metadata\": {}, \"weight_map\": {" + map + "}}");
  for (const std::string& path : {index, first, folder / ""})
    EXPECT_EQ(features(test::import_checked(path)), wanted) << path;
  write_text(index, "{\"weight_map\": {\"w\": \"model-00003-of-00002.safetensors\"}}");
  EXPECT_NE(refusal(index).find("model-00003-of-00002.safetensors is not beside it"),
            std::string::npos);
  write_text(index, "{\"weight_map\": {\"w\": \"../secret\"}}");
  EXPECT_NE(refusal(index).find("no name of a file beside it"), std::string::npos);
  write_text(index, "{}");
  EXPECT_NE(refusal(index).find("no index of weights"), std::string::npos);
}

}  // namespace
}  // namespace graft::models
