// Imports: prefixes, cuts, folded batch norm, the certificate, and refusals that list everything at
// once.
#include "graft/models/import.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/runtime/random.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/folded_norms.h"
#include "graft/models/initialization.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/train/freezing.h"

namespace graft::models {
namespace {

// A ResNet-18 with statistics of its own, as a state dict.
StateDict resnet18(int64_t stages = 4, int64_t classes = 5) {
  ResNetConfig config = resnet_config("resnet18");
  config.stages = stages;
  config.classes = classes;
  ResNet network(config);
  initialize(network, 1);
  uint64_t seed = 0;
  network.for_each_module([&](const std::string&, Module& module) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    if (!norm) return;
    CountedRandom random(++seed, RandomPurpose::synthetic);
    for (const auto& [name, tensor] : norm->own_tensors()) {
      Tensor t = tensor;
      if (name == "weight" || name == "running_var") fill_uniform(t, 0.5, 1.5, random);
      if (name == "bias" || name == "running_mean") fill_uniform(t, -0.3, 0.3, random);
    }
  });
  return network.state_dict();
}

// The same network as publishers fold it: weight * gamma / sqrt(var + eps), and a bias.
StateDict folded(const StateDict& state) {
  StateDict out;
  const auto fold = [&](const std::string& conv, const std::string& norm) {
    std::vector<double> w = state.at(conv + ".weight").to_doubles(), b;
    const auto gamma = state.at(norm + ".weight").to_doubles(),
               beta = state.at(norm + ".bias").to_doubles(),
               mean = state.at(norm + ".running_mean").to_doubles(),
               var = state.at(norm + ".running_var").to_doubles();
    const size_t each = w.size() / gamma.size();
    for (size_t k = 0; k < gamma.size(); ++k) {
      const double scale = gamma[k] / std::sqrt(var[k] + 1e-5);
      for (size_t i = 0; i < each; ++i) w[k * each + i] *= scale;
      b.push_back(beta[k] - mean[k] * scale);
    }
    out.add(conv + ".weight",
            Tensor::of(state.at(conv + ".weight").shape(), std::vector<float>(w.begin(), w.end())));
    out.add(conv + ".bias",
            Tensor::of({static_cast<int64_t>(b.size())}, std::vector<float>(b.begin(), b.end())));
  };
  for (const auto& [name, tensor] : state) {
    if (name.starts_with("fc.")) out.add(name, tensor);
    if (!name.ends_with(".weight") || tensor.rank() != 4) continue;
    const std::string conv = name.substr(0, name.size() - 7);
    const size_t dot = conv.rfind('.');
    const std::string parent = dot == std::string::npos ? "" : conv.substr(0, dot + 1),
                      last = conv.substr(parent.size());
    fold(conv, last == "0" ? parent + "1" : parent + "bn" + last.substr(4));
  }
  return out;
}

Tensor images() {
  Tensor x = Tensor::empty({3, 3, 40, 40}, {.format = MemoryFormat::channels_last});
  CountedRandom random(2, RandomPurpose::synthetic);
  fill_normal(x, 0, 1, random);
  return x;
}

Tensor logits(StagedNetwork& network) {
  const NoGradGuard no_grad;
  network.train(false);
  return network.forward(images());
}

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const auto x = a.to_doubles(), y = b.to_doubles();
  double largest = 0, scale = 1e-30;
  for (size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(x[i]));
  }
  return largest / scale;
}

class Import : public testing::Test {
 protected:
  std::string write(const StateDict& state, const std::string& prefix = "") {
    StateDict named;
    for (const auto& [name, tensor] : state) named.add(prefix + name, tensor);
    const std::string path = folder / "weights.safetensors";
    io::write_safetensors(path, named);
    return path;
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
  void expect_refused(const std::string& message, const std::vector<std::string>& words) {
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), std::string::npos) << "'" << word << "' in: " << message;
  }
  TemporaryFolder folder;
};

TEST_F(Import, PrefixesMakeNoDifference) {
  const StateDict state = resnet18();
  const Imported plain = test::import_checked(write(state));
  for (const char* prefix : {"module.", "model.", "module.model.", "backbone."}) {
    const Imported with = test::import_checked(write(state, prefix));
    EXPECT_EQ(largest_difference(logits(*plain.model.network), logits(*with.model.network)), 0);
    EXPECT_NE(with.certificate.naming.find(prefix), std::string::npos);
  }
  EXPECT_EQ(plain.certificate.matched, 122);
  EXPECT_EQ(name_of(plain.model.card.architecture), "resnet18");
  EXPECT_EQ(classes_of(plain.model.card.architecture), 5);
}

TEST_F(Import, HalfPrecisionIsWidened) {
  StateDict half;
  for (const auto& [name, tensor] : resnet18())
    half.add(name, tensor.dtype() == DType::f32 ? tensor.to(DType::f16) : tensor);
  const Imported imported = test::import_checked(write(half));
  EXPECT_EQ(imported.model.network->parameters()[0].tensor.dtype(), DType::f32);
  EXPECT_LT(largest_difference(logits(*test::import_checked(write(resnet18())).model.network),
                               logits(*imported.model.network)),
            1e-2);
}

TEST_F(Import, AutoCutsAfterTheLastWholeStage) {
  const Imported imported = test::import_checked(write(resnet18(3, 0)));
  const auto& config = std::get<ResNetConfig>(imported.model.card.architecture);
  EXPECT_EQ(config.stages, 3);
  EXPECT_EQ(config.classes, 0);
  EXPECT_NE(imported.certificate.cut.find("layer3"), std::string::npos);
  EXPECT_EQ(logits(*imported.model.network).shape(), Shape({3, 256}));
}

TEST_F(Import, AStageThatIsNotWholeIsRefused) {
  StateDict state;
  for (const auto& [name, tensor] : resnet18(3, 0))
    if (!name.starts_with("layer3.1.bn2")) state.add(name, tensor);
  expect_refused(refusal(write(state)), {"weights.safetensors", "missing", "layer3.1.bn2.weight",
                                         "layer3.1.bn2.running_var"});
}

TEST_F(Import, AskedForCutsLeaveTheRestOut) {
  const std::string path = write(resnet18());
  const Imported imported = test::import_checked(path, {.cut = "layer2"});
  EXPECT_EQ(std::get<ResNetConfig>(imported.model.card.architecture).stages, 2);
  EXPECT_EQ(imported.certificate.unused.size(), 62u);
  EXPECT_EQ(logits(*imported.model.network).shape(), Shape({3, 128}));
  expect_refused(refusal(path, {.cut = "layer7"}), {"layer7", "layer4"});
  expect_refused(refusal(write(resnet18(3, 0)), {.cut = "layer4"}),
                 {"layer4", "ends after layer3"});
}

TEST_F(Import, AnotherArchitectureIsRefused) {
  const std::string path = write(resnet18());
  expect_refused(refusal(path, {.arch = "resnet50"}), {"resnet18", "not resnet50"});
  expect_refused(refusal(path, {.arch = "alexnet"}), {"alexnet", "resnet152"});
  EXPECT_NO_THROW(test::import_checked(path, {.arch = "resnet18"}));
}

TEST_F(Import, FoldedBatchNormIsTheSameFunction) {
  const StateDict state = resnet18();
  const Imported kept = test::import_checked(write(state)),
                 un = test::import_checked(write(folded(state)));
  EXPECT_EQ(un.model.card.neutral_norms.size(), 20u);
  EXPECT_EQ(un.certificate.neutral_norms, 20);
  EXPECT_LT(largest_difference(logits(*kept.model.network), logits(*un.model.network)), 1e-5);

  // Against the folded network itself, convolution with bias: 1e-6, on the stem's output.
  const NoGradGuard no_grad;
  const StateDict f = folded(state);
  const Tensor direct = functional::conv(images(), f.at("conv1.weight"), f.at("conv1.bias"),
                                         {.window = ops::square_window(7, 2, 3)});
  auto& network = *un.model.network;
  auto* norm = dynamic_cast<BatchNorm2d*>(network.find("bn1"));
  EXPECT_LT(
      largest_difference(direct, norm->normalise(network.find("conv1")->forward(images()), false)),
      1e-6);
}

// Images by number, as the loader wants them.
class Noise final : public io::Dataset {
 public:
  int64_t size() const override { return 40; }
  int64_t label(int64_t index) const override { return index % 2; }
  std::string name(int64_t index) const override { return std::to_string(index); }
  std::string fingerprint() const override { return "noise"; }
  io::Image image(int64_t index) const override {
    io::Image image{40, 40, 3, Tensor::empty({40, 40, 3}, {.dtype = DType::u8})};
    CountedRandom random(7, RandomPurpose::synthetic, 0, static_cast<uint64_t>(index));
    for (int64_t i = 0; i < 4800; ++i)
      image.pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
    return image;
  }
};

TEST_F(Import, StatisticsTakenFromImagesKeepTheFunctionAndFitTheImages) {
  const Imported imported = test::import_checked(write(folded(resnet18())));
  StagedNetwork& network = *imported.model.network;
  const Tensor before = logits(network);
  io::Preprocess p = imported.model.card.preprocess;
  p.size = 40;
  p.resize_to = 0;
  train::LoaderOptions options;
  options.batch = 16;  // the last batch is smaller: every image weighs the same all the same
  train::BatchLoader loader(std::make_shared<Noise>(), p, options);
  train::take_statistics(network, imported.model.card.neutral_norms, loader);
  EXPECT_LT(largest_difference(before, logits(network)), 1e-5);
  EXPECT_TRUE(still_neutral(network, imported.model.card.neutral_norms).empty());

  // In training mode on the same images as one batch, the stem computes the same as in eval.
  const NoGradGuard no_grad;
  options.batch = 40;
  train::BatchLoader all(std::make_shared<Noise>(), p, options);
  all.start(0);
  train::Batch batch;
  ASSERT_TRUE(all.next(batch));
  const Tensor x = network.find("conv1")->forward(batch.x);
  auto* norm = dynamic_cast<BatchNorm2d*>(network.find("bn1"));
  const Tensor eval = norm->normalise(x, false);
  norm->train(true);
  EXPECT_LT(largest_difference(eval, norm->normalise(x, false)), 1e-4);
}

TEST_F(Import, PolicyDecidesWhichNormsGetStatistics) {
  const auto moving = [&](const std::string& freeze, const std::string& policy) {
    const Imported imported = test::import_checked(write(folded(resnet18())));
    train::Recipe recipe = train::default_recipe(freeze);
    recipe.batch_norm = policy;
    train::apply_freezing(*imported.model.network, recipe);
    return train::norms_that_move(*imported.model.network, imported.model.card.neutral_norms,
                                  recipe)
        .size();
  };
  EXPECT_EQ(moving("backbone", "auto"), 0u);
  EXPECT_EQ(moving("backbone", "adapt"), 20u);
  EXPECT_EQ(moving("none", "auto"), 20u);
  EXPECT_EQ(moving("none", "source"), 0u);
  EXPECT_EQ(moving("stem,layer1", "auto"), 15u);
}

TEST_F(Import, AConvolutionBiasBeforeANormGoesIntoItsMean) {
  StateDict state = resnet18();
  const Imported plain = test::import_checked(write(state));
  Tensor bias = Tensor::empty({64});
  CountedRandom random(3, RandomPurpose::synthetic);
  fill_normal(bias, 0, 1, random);
  std::vector<double> mean = state.at("bn1.running_mean").to_doubles(), b = bias.to_doubles();
  for (size_t i = 0; i < mean.size(); ++i) mean[i] += b[i];
  state.add("conv1.bias", bias);
  state.set("bn1.running_mean", Tensor::of({64}, std::vector<float>(mean.begin(), mean.end())));
  const Imported with = test::import_checked(write(state));
  EXPECT_TRUE(with.model.card.neutral_norms.empty());
  EXPECT_LT(largest_difference(logits(*plain.model.network), logits(*with.model.network)), 1e-5);
}

TEST_F(Import, SummedFirstConvolutionEqualsThreeEqualChannels) {
  const std::string path = write(resnet18());
  const Imported colour = test::import_checked(path),
                 grey = test::import_checked(path, {.channels = ChannelRule::sum_conv1});
  EXPECT_EQ(grey.model.card.preprocess.channels, 1);
  const NoGradGuard no_grad;
  Tensor one = Tensor::empty({1, 1, 40, 40}), three = Tensor::empty({1, 3, 40, 40});
  CountedRandom random(4, RandomPurpose::synthetic);
  fill_normal(one, 0, 1, random);
  for (int c = 0; c < 3; ++c)
    std::copy_n(one.data<float>(), 1600, three.mutable_data<float>() + c * 1600);
  const auto run = [](const Imported& i, const Tensor& x) {
    return i.model.network->forward(x.to(MemoryFormat::channels_last));
  };
  EXPECT_LT(largest_difference(run(colour, three), run(grey, one)), 1e-5);
}

TEST_F(Import, RawPixelsAreRecognisedByTheFirstNormsVariance) {
  StateDict state = resnet18();
  Tensor variance = state.at("bn1.running_var").clone();
  variance.copy_from(Tensor::full({64}, 5000));
  state.set("bn1.running_var", variance);
  const Imported imported = test::import_checked(write(state));
  EXPECT_TRUE(imported.model.card.preprocess.bgr);
  EXPECT_EQ(imported.model.card.preprocess.scale, 1);
  EXPECT_FALSE(imported.certificate.preprocess.known);
  EXPECT_FALSE(test::import_checked(write(resnet18())).model.card.preprocess.bgr);
}

TEST_F(Import, TheCertificateIsTextAndJson) {
  const Certificate certificate = test::import_checked(write(resnet18(3, 0))).certificate;
  const auto j = nlohmann::json::parse(certificate.to_json());
  EXPECT_EQ(j["matched"], 90);
  EXPECT_EQ(j["eps"]["known"], false);
  for (const char* part :
       {"resnet18, cut after layer3", "guessed", certificate.sha256.c_str(), "after layer3"})
    EXPECT_NE(certificate.to_text().find(part), std::string::npos) << part;
}

TEST_F(Import, ModelFilesRoundTrip) {
  const Imported imported = test::import_checked(write(folded(resnet18())));
  ModelCard card = imported.model.card;
  card.labels = {"a", "b", "c", "d", "é"};
  card.int8 = {{{0, -1.1F, 2}, {5, 0, 3.7F}}, 16};
  const std::string one = folder / "one.safetensors", two = folder / "two.safetensors";
  save_model(one, *imported.model.network, card);
  const Model model = load_model(one);
  EXPECT_EQ(model.card.to_json(), card.to_json());
  EXPECT_EQ(model.card.int8, card.int8);
  EXPECT_EQ(largest_difference(logits(*imported.model.network), logits(*model.network)), 0);
  save_model(two, *model.network, model.card);
  EXPECT_EQ(read_text(one), read_text(two));
  EXPECT_EQ(test::import_checked(one).model.card.neutral_norms.size(), 20u);
  EXPECT_THROW(load_model(write(resnet18())), Error);
}

// What could not be loaded again is not written: a file that is there stays.
TEST_F(Import, AModelIsSavedOnlyAsItLoads) {
  const Imported imported = test::import_checked(write(resnet18()));
  const StagedNetwork& network = *imported.model.network;
  const std::string path = folder / "kept.safetensors";
  save_model(path, network, imported.model.card);
  const std::string before = read_text(path);
  const auto refused = [&](const std::function<void(ModelCard&)>& change) {
    ModelCard card = imported.model.card;
    change(card);
    std::string message;
    try {
      check_saves(network, card);
    } catch (const Error& error) {
      message = error.what();
    }
    EXPECT_THROW(save_model(path, network, card), Error);
    EXPECT_EQ(read_text(path), before);
    return message;
  };
  EXPECT_NE(refused([](ModelCard& c) {
              c.architecture = architecture_named("vgg16");
            }).find("the card describes vgg16"),
            std::string::npos);
  EXPECT_NE(refused([](ModelCard& c) {
              std::visit([](auto& config) { config.classes = 77; }, c.architecture);
            }).find("77 classes"),
            std::string::npos);
  EXPECT_NE(refused([](ModelCard& c) { c.labels = {"one"}; }).find("1 labels"), std::string::npos);
  EXPECT_NE(refused([](ModelCard& c) { c.preprocess.mean = {0.5}; }).find("means"),
            std::string::npos);
  EXPECT_NE(refused([](ModelCard& c) { c.preprocess.deviation = {1, NAN, 1}; }), "");
  EXPECT_NE(refused([](ModelCard& c) { c.neutral_norms = {"nowhere"}; }).find("nowhere"),
            std::string::npos);
}

// A network of the caller's own is saved under a card that describes the same tensors, or not at
// all.
TEST_F(Import, ANetworkOfOnesOwnIsCheckedByItsTensors) {
  class Own final : public StagedNetwork {
   public:
    explicit Own(int64_t classes) {
      register_module("linear", std::make_shared<Linear>(64, classes));
    }
    const std::vector<std::string>& stages() const override { return stages_; }
    Tensor forward_stages(const Tensor& x, size_t, size_t) override { return x; }
    std::vector<std::string> stage_paths(size_t) const override { return {"linear"}; }

   private:
    std::vector<std::string> stages_{"linear"};
  };
  ModelCard card;
  card.architecture = architecture_named("cifar_resnet20");
  try {
    check_saves(Own(10), card);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("missing: "), std::string::npos) << error.what();
  }
}

TEST_F(Import, DamagedCardsAreRefused) {
  const Imported imported = test::import_checked(write(resnet18()));
  const std::string good = imported.model.card.to_json();
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"card_version\":1", "\"card_version\":9"},
           {"\"classes\":5", "\"classes\":-5"},
           {"\"depths\":[2,2,2,2]", "\"depths\":[2,2,2,900000]"},
           {"\"family\":\"resnet\"", "\"family\":\"vgg\""},
           {"\"labels\":[]", "\"labels\":[\"a\"]"},
           {"\"in_channels\":3", "\"in_channels\":1"},
           {"\"labels\":[]", "\"int8\":{\"images\":1,\"ranges\":[[3,2,1]]},\"labels\":[]"},
           {"\"labels\":[]", "\"int8\":{\"images\":1,\"ranges\":[[3,0,1],[3,0,1]]},\"labels\":[]"},
           {"\"labels\":[]", "\"int8\":{\"images\":1,\"ranges\":[[3,0]]},\"labels\":[]"},
           {"\"labels\":[]", "\"labels\":[],\"task\":7"},
           {"\"labels\":[]", "\"labels\":[],\"task\":{\"name\":7}"},
           {"{", "["}}) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_THROW(ModelCard::from_json(bad), Error) << to;
  }
}

TEST_F(Import, ACardKeepsItsTask) {
  ModelCard card = import_weights(write(resnet18())).model.card;
  EXPECT_EQ(card.to_json().find("\"task\""), std::string::npos) << "one class of several";
  card.task = "{\"name\":\"multilabel\",\"thresholds\":[0.25,0.5]}";
  EXPECT_EQ(ModelCard::from_json(card.to_json()).task, card.task);
}

TEST_F(Import, RealBackbones) {
  const std::string models = GRAFT_SOURCE_DIR "/../shared/data/models/";
  if (!std::filesystem::exists(models))
    GTEST_SKIP() << "the real weights stand beside the repository, not in it";
  const Imported r18 = test::import_checked(models + "resnet18_torchvision_L3_backbone.npz");
  EXPECT_EQ(describe(r18.model.card.architecture),
            "resnet18, cut after layer3, 256 features, no head");
  EXPECT_EQ(r18.model.card.neutral_norms.size(), 15u);
  const Imported r50 =
      test::import_checked(models + "resnet50_kaiming_c4_backbone.onnx", {.arch = "resnet50"});
  const auto& config = std::get<ResNetConfig>(r50.model.card.architecture);
  EXPECT_FALSE(config.stride_in_3x3);
  EXPECT_EQ(config.pool_pad_begin, 0);
  EXPECT_EQ(config.pool_pad_end, 1);
  EXPECT_EQ(config.eps, 1e-5);
  EXPECT_TRUE(r50.model.card.preprocess.bgr);
  EXPECT_TRUE(r50.certificate.stride.known);
  EXPECT_EQ(r50.certificate.matched, 215);
  expect_refused(refusal(models + "squeezenet1.1_imagenet.onnx", {.arch = "resnet50"}),
                 {"squeezenet1.1_imagenet.onnx", "Conv"});
}

// A check that would hold more than it may is left out, never silently.
TEST_F(Import, AChecksBudgetThatDoesNotSufficeIsSaid) {
  const Imported whole = test::import_checked(carried_weights());
  EXPECT_EQ(whole.certificate.not_executed, "");
  EXPECT_NE(whole.certificate.statistics, "");
  const Imported bounded = test::import_checked(carried_weights(), {.check_bytes = 1 << 16});
  EXPECT_EQ(bounded.certificate.statistics, "");
  for (const std::string& text : {bounded.certificate.to_text(), bounded.certificate.to_json()})
    EXPECT_NE(
        text.find("the check of the batch norms' statistics: it would hold more than the 1 MiB"),
        std::string::npos)
        << text;
}

}  // namespace
}  // namespace graft::models
