// VGG, SqueezeNet, MobileNetV2 and DenseNet against torchvision's: names, logits, gradients; files,
// cuts, heads.
#include "graft/models/feature_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/sha256.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/modules/dropout.h"
#include "graft/models/import.h"
#include "graft/models/initialization.h"
#include "graft/tests/support/full_size.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

const StateDict& feature_goldens() {
  static const StateDict tensors =
      io::read_weights(GRAFT_TEST_DATA "/networks/feature_networks.safetensors").tensors;
  return tensors;
}

TEST(FeatureNetwork, TorchvisionsNamesShapesAndOrder) {
  std::ifstream file(GRAFT_TEST_DATA "/networks/feature_networks.txt");
  std::vector<std::string> seen;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name, digest, listing;
    size_t parameters = 0, buffers = 0;
    int64_t numbers = 0, counted = 0;
    fields >> name >> parameters >> buffers >> numbers >> digest;
    seen.push_back(name);
    if (!test::full_size() && name.starts_with("vgg")) continue;  // 0.5 GB of random numbers each
    const FeatureNetwork network(feature_config(name));
    for (const auto& [path, tensor] : network.parameters()) {
      listing += str("parameter ", path, " ", tensor.shape(), "\n");
      counted += tensor.numel();
    }
    for (const auto& [path, tensor] : network.buffers())
      listing += str("buffer ", path, " ", tensor.shape(), "\n");
    EXPECT_EQ(network.parameters().size(), parameters) << name;
    EXPECT_EQ(network.buffers().size(), buffers) << name;
    EXPECT_EQ(counted, numbers) << name;
    EXPECT_EQ(sha256_hex(listing), digest) << name << "\n" << listing.substr(0, 2000);
  }
  std::vector<std::string> names = feature_network_names();
  std::erase(names, "mobilenet_v2_tf");  // not torchvision's
  EXPECT_EQ(seen, names);
  EXPECT_THROW(FeatureNetwork({.name = "vgg12"}), Error);
}

struct FeatureCase {
  std::string golden, image;
  FeatureConfig config;
  int64_t size;
};
void PrintTo(const FeatureCase& c, std::ostream* out) { *out << c.golden; }

FeatureConfig with_ten(const std::string& name) {
  FeatureConfig config = feature_config(name);
  config.classes = 10;
  return config;
}

class FeatureNetworks : public ::testing::TestWithParam<FeatureCase> {};

TEST_P(FeatureNetworks, LogitsAndGradientsAgreeWithPyTorch) {
  const FeatureCase& c = GetParam();
  FeatureNetwork network(c.config);
  test::fill_by_formula(network);
  network.train(false);
  const Tensor x = test::formula_image(c.image, {2, 3, c.size, c.size});
  const std::vector<double> expected = feature_goldens().at(c.golden + ".logits").to_doubles();
  {
    const NoGradGuard no_grad;
    EXPECT_LE(test::relative_error(network.forward(x).to_doubles(), expected), 1e-4);
    EXPECT_LE(test::relative_error(network.forward(x.to(MemoryFormat::channels_last)).to_doubles(),
                                   expected),
              1e-4);
  }
  network.to(DType::f64);
  const Tensor logits = network.forward(x.to(DType::f64).to(MemoryFormat::channels_last));
  EXPECT_LE(test::relative_error(logits.to_doubles(), expected), 1e-9);
  backward(functional::cross_entropy(logits, test::formula_labels(2, 10)));
  std::vector<NamedTensor> gradients;
  for (const auto& [path, tensor] : network.parameters())
    gradients.push_back({path, grad_of(tensor)});
  test::expect_summaries(gradients, feature_goldens().at(c.golden + ".gradients"), 1e-6,
                         "gradient");
}

INSTANTIATE_TEST_SUITE_P(
    FeatureCases, FeatureNetworks,
    ::testing::Values(
        FeatureCase{"squeezenet1_0", "squeezenet1_0", {.name = "squeezenet1_0", .classes = 10}, 64},
        FeatureCase{"squeezenet1_1", "squeezenet1_1", {.name = "squeezenet1_1", .classes = 10}, 64},
        FeatureCase{"mobilenet_v2", "mobilenet_v2", {.name = "mobilenet_v2", .classes = 10}, 64},
        FeatureCase{"densenet121", "densenet121", {.name = "densenet121", .classes = 10}, 64},
        FeatureCase{"mobilenet_v3_small", "mobilenet_v3_small", with_ten("mobilenet_v3_small"), 64},
        FeatureCase{"efficientnet_b0", "efficientnet_b0", with_ten("efficientnet_b0"), 64},
        FeatureCase{
            "vgg11_bn.cut", "vgg", {.name = "vgg11_bn", .classes = 10, .cut = "features.14"}, 32}),
    [](const auto& tested) { return tested.param.config.name; });

class FeatureLogits : public ::testing::TestWithParam<std::string> {};

// Logits, and a file of the network, recognized by its names.
TEST_P(FeatureLogits, AreTorchvisions) {
  FeatureNetwork network(with_ten(GetParam()));
  test::fill_by_formula(network);
  network.train(false);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image(GetParam(), {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  EXPECT_LE(test::relative_error(network.forward(x).to_doubles(),
                                 feature_goldens().at(GetParam() + ".logits").to_doubles()),
            1e-4);
  const FeatureConfig found = feature_config_of(network.state_dict());
  EXPECT_EQ(found.name, GetParam());
  EXPECT_EQ(found.eps, network.config().eps);
  EXPECT_EQ(found.classes, 10);
  for (const auto& [path, tensor] : network.buffers()) {
    if (!path.ends_with(".running_mean")) continue;
    const std::string norm = path.substr(0, path.size() - 13);
    const std::string conv = norm.substr(0, norm.size() - 1) + "0";
    EXPECT_EQ(feature_norm_behind(found, conv), norm);
  }
  EXPECT_EQ(feature_norm_behind(found, "features.4.0.block.2.fc1"), "");
}

INSTANTIATE_TEST_SUITE_P(Names, FeatureLogits,
                         ::testing::Values("mobilenet_v3_small", "mobilenet_v3_large",
                                           "efficientnet_b0", "efficientnet_b1", "efficientnet_b2",
                                           "efficientnet_b3", "efficientnet_b4"),
                         [](const auto& tested) { return tested.param; });

TEST(FeatureNetwork, WholeVggLogits) {
  FeatureNetwork network({.name = "vgg11", .classes = 10});
  test::fill_by_formula(network);
  network.train(false);
  const NoGradGuard no_grad;
  EXPECT_LE(
      test::relative_error(network.forward(test::formula_image("vgg", {2, 3, 32, 32})).to_doubles(),
                           feature_goldens().at("vgg11.logits").to_doubles()),
      1e-4);
}

// A state dict on disk, wrapped as DataParallel does, comes back as the same network.
Imported through_file(const FeatureNetwork& network, const std::string& prefix,
                      const ImportOptions& options = {}) {
  const TemporaryFolder folder;
  StateDict state;
  for (const auto& [name, tensor] : network.state_dict()) state.add(prefix + name, tensor);
  io::write_safetensors(folder / "network.safetensors", state);
  return test::import_checked(folder / "network.safetensors", options);
}

TEST(FeatureNetwork, FilesAreKnownByTheirNames) {
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {1, 3, 64, 64}).to(MemoryFormat::channels_last);
  for (const char* name : {"squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121"}) {
    FeatureNetwork network({.name = name, .classes = 7});
    test::fill_by_formula(network);
    network.train(false);
    const Imported imported = through_file(network, "module.");
    EXPECT_EQ(name_of(imported.model.card.architecture), name);
    EXPECT_EQ(classes_of(imported.model.card.architecture), 7);
    EXPECT_EQ(imported.model.network->forward(x).to_doubles(), network.forward(x).to_doubles())
        << name;
    EXPECT_EQ(architecture_from_json(to_json(imported.model.card.architecture)).index(),
              imported.model.card.architecture.index());
    EXPECT_EQ(to_json(architecture_from_json(to_json(imported.model.card.architecture))),
              to_json(imported.model.card.architecture));
  }
}

TEST(FeatureNetwork, OtherNamesAreRefused) {
  FeatureNetwork network({.name = "squeezenet1_1", .classes = 7});
  EXPECT_THROW(through_file(network, "", {.arch = "squeezenet1_0"}), Error);
  EXPECT_THROW(through_file(network, "", {.cut = "features.99"}), Error);
  const TemporaryFolder folder;
  StateDict state = network.state_dict();
  state.erase("features.4.squeeze.bias");
  io::write_safetensors(folder / "less.safetensors", state);
  try {
    test::import_checked(folder / "less.safetensors");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("features.4.squeeze.bias"), std::string::npos)
        << error.what();
  }
}

TEST(FeatureNetwork, CutAndHeads) {
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  struct HeadCase {
    const char *name, *cut, *head;
    int64_t features;
  };
  for (const HeadCase& c : {HeadCase{"squeezenet1_1", "auto", "fc", 512},
                            HeadCase{"squeezenet1_1", "features.4", "fc", 128},
                            HeadCase{"mobilenet_v2", "auto", "classifier.1", 1280},
                            HeadCase{"mobilenet_v2", "features.7", "fc", 64},
                            HeadCase{"densenet121", "auto", "classifier", 1024},
                            HeadCase{"densenet121", "features.transition2", "fc", 256}}) {
    FeatureNetwork whole({.name = c.name, .classes = 3});
    test::fill_by_formula(whole);
    Imported imported = through_file(whole, "", {.cut = c.cut});
    Model& model = imported.model;
    replace_head(*model.network, model.card.architecture, 5, 1);
    EXPECT_EQ(head_path(model.card.architecture), c.head) << c.name << " " << c.cut;
    EXPECT_EQ(model.network->forward(x).shape(), (Shape{2, 5})) << c.name;
    EXPECT_EQ(model.network->state_dict().at(std::string(c.head) + ".weight").shape(),
              (Shape{5, c.features}))
        << c.name;
    EXPECT_EQ(model.network->stage_paths(model.network->stages().size() - 1),
              std::vector<std::string>{c.head});
    // What a model file holds is the same network.
    const auto again = make_network(model.card.architecture);
    again->load_state_dict(model.network->state_dict());
    again->train(false);
    EXPECT_EQ(again->forward(x).to_doubles(), model.network->forward(x).to_doubles()) << c.name;
  }
}

TEST(FeatureNetwork, FoldedNormsStandUnfolded) {
  FeatureNetwork network({.name = "vgg11_bn", .classes = 4, .linear_head = true});
  test::fill_by_formula(network);
  network.train(false);
  StateDict folded;
  const StateDict state = network.state_dict();
  for (const auto& [name, tensor] : state) {
    const std::string conv = name.substr(0, name.rfind('.')),
                      norm = norm_behind(network.config(), conv);
    if (name.starts_with("fc.")) folded.add(name, tensor);
    if (tensor.rank() != 4) continue;
    const auto weight = state.at(norm + ".weight").to_doubles(),
               bias = state.at(norm + ".bias").to_doubles(),
               mean = state.at(norm + ".running_mean").to_doubles(),
               variance = state.at(norm + ".running_var").to_doubles(),
               own = state.at(conv + ".bias").to_doubles();
    std::vector<double> w = tensor.to_doubles(), b(weight.size());
    for (size_t k = 0; k < b.size(); ++k) {
      const double scale = weight[k] / std::sqrt(variance[k] + 1e-5);
      b[k] = bias[k] + (own[k] - mean[k]) * scale;
      for (size_t i = 0; i < w.size() / b.size(); ++i) w[k * w.size() / b.size() + i] *= scale;
    }
    folded.add(name, Tensor::of(tensor.shape(), w).to(DType::f32));
    folded.add(conv + ".bias", Tensor::of({std::ssize(b)}, b).to(DType::f32));
  }
  const TemporaryFolder folder;
  io::write_safetensors(folder / "folded.safetensors", folded);
  const Imported imported = test::import_checked(folder / "folded.safetensors");
  EXPECT_EQ(name_of(imported.model.card.architecture), "vgg11_bn");
  EXPECT_EQ(imported.certificate.neutral_norms, 8);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {1, 3, 32, 32});
  EXPECT_LE(test::relative_error(imported.model.network->forward(x).to_doubles(),
                                 network.forward(x).to_doubles()),
            1e-5);
}

TEST(Dropout, StreamsDecideAndEvalPasses) {
  Dropout layer(0.5);
  const Tensor x = Tensor::full({1000}, 1);
  layer.set_stream(1, 2, 3);
  const std::vector<double> first = layer.forward(x).to_doubles();
  EXPECT_EQ(layer.forward(x).to_doubles(), first);
  layer.set_stream(1, 2, 4);
  EXPECT_NE(layer.forward(x).to_doubles(), first);
  const auto kept = std::count(first.begin(), first.end(), 2.0);
  EXPECT_EQ(kept + std::count(first.begin(), first.end(), 0.0), 1000);
  EXPECT_NEAR(static_cast<double>(kept), 500, 80);  // 5 deviations
  layer.train(false);
  EXPECT_EQ(layer.forward(x).to_doubles(), x.to_doubles());
  EXPECT_THROW(Dropout(1.0), Error);
}

TEST(Dropout, LayersOfANetworkDrawDifferently) {
  FeatureNetwork network({.name = "vgg11", .classes = 2});
  set_dropout_streams(network, 7, 1, 1);
  auto* a = dynamic_cast<Dropout*>(network.find("classifier.2"));
  auto* b = dynamic_cast<Dropout*>(network.find("classifier.5"));
  ASSERT_TRUE(a && b);
  const Tensor x = Tensor::full({64}, 1);
  EXPECT_NE(a->forward(x).to_doubles(), b->forward(x).to_doubles());
}

}  // namespace
}  // namespace graft::models
