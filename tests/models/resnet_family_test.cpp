// The ResNet family against torchvision's and timm's (tests/data/networks/make_resnet_family.py):
// names, logits and gradients; files of each kind, recognized by what they hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/sha256.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/initialization.h"
#include "graft/models/resnet.h"
#include "graft/tests/support/full_size.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

const StateDict& family_goldens() {
  static const StateDict tensors =
      io::read_weights(GRAFT_TEST_DATA "/networks/resnet_family.safetensors").tensors;
  return tensors;
}

struct FamilyLine {
  std::string whose{}, digest{};
  size_t parameters = 0, buffers = 0;
  int64_t numbers = 0;
};

const std::map<std::string, FamilyLine>& family_lines() {
  static const std::map<std::string, FamilyLine> lines = [] {
    std::map<std::string, FamilyLine> read;
    std::ifstream file(GRAFT_TEST_DATA "/networks/resnet_family.txt");
    for (std::string line, name; std::getline(file, line);) {
      std::istringstream fields(line);
      FamilyLine l;
      fields >> name >> l.whose >> l.parameters >> l.buffers >> l.numbers >> l.digest;
      read[name] = l;
    }
    return read;
  }();
  return lines;
}

class ResNetFamily : public ::testing::TestWithParam<std::string> {};

// A name without a golden fails here.
TEST_P(ResNetFamily, NamesAndLogitsAreTheOrigins) {
  ResNetConfig config = resnet_config(GetParam());
  config.classes = 10;
  ASSERT_TRUE(family_lines().contains(GetParam()));
  const FamilyLine& line = family_lines().at(GetParam());
  if (!test::full_size() && line.numbers > 30'000'000) GTEST_SKIP() << "one of the large ones";
  const ScopedUnsetValues unset;  // the formula fills them
  ResNet network(config);
  std::string listing;
  int64_t numbers = 0;
  for (const auto& [path, tensor] : network.parameters()) {
    listing += str("parameter ", path, " ", tensor.shape(), "\n");
    numbers += tensor.numel();
  }
  for (const auto& [path, tensor] : network.buffers())
    listing += str("buffer ", path, " ", tensor.shape(), "\n");
  EXPECT_EQ(network.parameters().size(), line.parameters);
  EXPECT_EQ(network.buffers().size(), line.buffers);
  EXPECT_EQ(numbers, line.numbers);
  EXPECT_EQ(sha256_hex(listing), line.digest) << listing.substr(0, 3000);
  test::fill_by_formula(network);
  network.train(false);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image(GetParam(), {2, 3, 32, 32}).to(MemoryFormat::channels_last);
  EXPECT_LE(test::relative_error(network.forward(x).to_doubles(),
                                 family_goldens().at(GetParam() + ".logits").to_doubles()),
            1e-4);
}

INSTANTIATE_TEST_SUITE_P(Names, ResNetFamily, ::testing::ValuesIn(resnet_names()),
                         [](const auto& tested) { return tested.param; });

// One block a stage, each kind once, as make_resnet_family.py has them.
std::map<std::string, ResNetConfig> small_kinds() {
  ResNetConfig bottleneck;
  bottleneck.depths = {1, 1, 1, 1};
  bottleneck.classes = 10;
  ResNetConfig basic = bottleneck;
  basic.bottleneck = false;
  std::map<std::string, ResNetConfig> kinds = {{"grouped", bottleneck}, {"wide", bottleneck},
                                               {"deep", bottleneck},    {"tiered", basic},
                                               {"squeeze", basic},      {"eca", bottleneck}};
  kinds["grouped"].groups = kinds["grouped"].base_width = 8;
  kinds["wide"].base_width = 96;
  kinds["deep"].stem = {32, 32, 64};
  kinds["tiered"].stem = {24, 32, 64};
  kinds["deep"].average_down = kinds["tiered"].average_down = true;
  kinds["squeeze"].attention = ChannelAttention::squeeze;
  kinds["eca"].attention = ChannelAttention::eca;
  return kinds;
}

class ResNetKind : public ::testing::TestWithParam<std::string> {
 protected:
  ResNetConfig config() const { return small_kinds().at(GetParam()); }
};

TEST_P(ResNetKind, GradientsAreTheOrigins) {
  ResNet network(config());
  test::fill_by_formula(network);
  network.train(false);
  const Tensor x = test::formula_image(GetParam(), {2, 3, 64, 64}).to(MemoryFormat::channels_last);
  for (const bool in_double : {false, true}) {
    if (in_double) network.to(DType::f64);
    const Tensor logits = network.forward(in_double ? x.to(DType::f64) : x);
    EXPECT_LE(test::relative_error(logits.to_doubles(),
                                   family_goldens().at(GetParam() + ".logits").to_doubles()),
              in_double ? 1e-9 : 1e-4);
    for (const auto& [path, tensor] : network.parameters()) set_grad(tensor, {});
    backward(functional::cross_entropy(logits, test::formula_labels(2, 10)));
    std::vector<NamedTensor> gradients;
    for (const auto& [path, tensor] : network.parameters())
      gradients.push_back({path, grad_of(tensor)});
    // In float an answer of "tiered" lies so close to a ReLU's corner that rounding takes it to the
    // other side: 3 % of the stem's gradient. FloatGradientsAreThoseInDouble has another image of
    // it.
    if (in_double || GetParam() != "tiered")
      test::expect_summaries(gradients, family_goldens().at(GetParam() + ".gradients"),
                             in_double ? 1e-6 : 1e-3, "gradient");
  }
}

// Where rounding takes an answer over a ReLU's corner depends on the image and on the instructions;
// a wrong gradient would be wrong on all five.
TEST(ResNetKinds, FloatGradientsAreThoseInDouble) {
  ResNet network(small_kinds().at("tiered"));
  test::fill_by_formula(network);
  network.train(false);
  int alike = 0;
  for (const char* image : {"a", "b", "c", "d", "e"}) {
    const Tensor x = test::formula_image(image, {1, 3, 32, 32}).to(MemoryFormat::channels_last);
    std::map<std::string, test::Summary> in_float;
    double worst = 0;
    for (const DType dtype : {DType::f32, DType::f64}) {
      network.to(dtype);
      for (const auto& [path, tensor] : network.parameters()) set_grad(tensor, {});
      backward(
          functional::cross_entropy(network.forward(x.to(dtype)), test::formula_labels(1, 10)));
      for (const auto& [path, tensor] : network.parameters()) {
        const test::Summary gradient = test::Summary::of(path, grad_of(tensor));
        if (dtype == DType::f32)
          in_float[path] = gradient;
        else
          worst = std::max(worst, test::relative_distance(in_float.at(path), gradient));
      }
    }
    alike += worst <= 1e-3;
  }
  EXPECT_GE(alike, 2) << "of five";
}

// Cards keep the kind, and a file of it is recognized by its names and shapes.
TEST_P(ResNetKind, FilesAreRecognized) {
  ResNet network(config());
  test::fill_by_formula(network);
  const Architecture again = architecture_from_json(to_json(config()));
  EXPECT_TRUE(is_same_kind(std::get<ResNetConfig>(again), config()));
  const TemporaryFolder folder;
  StateDict state;
  for (const auto& [name, tensor] : network.state_dict()) state.add("module." + name, tensor);
  io::write_safetensors(folder / "w.safetensors", state);
  const Imported imported = test::import_checked(folder / "w.safetensors");
  const auto& found = std::get<ResNetConfig>(imported.model.card.architecture);
  EXPECT_TRUE(is_same_kind(found, config())) << describe(found);
  network.train(false);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("x", {2, 3, 32, 32}).to(MemoryFormat::channels_last);
  EXPECT_EQ(imported.model.network->forward(x).to_doubles(), network.forward(x).to_doubles());
}

INSTANTIATE_TEST_SUITE_P(Kinds, ResNetKind,
                         ::testing::Values("grouped", "wide", "deep", "tiered", "squeeze", "eca"),
                         [](const auto& tested) { return tested.param; });

// Norms folded into every convolution that has one come back as neutral norms.
TEST(ResNetFamilyNorms, EachConvolutionKnowsItsNorm) {
  for (const auto& [name, config] : small_kinds()) {
    const ResNet network(config);
    const StateDict state = network.state_dict();
    size_t norms = 0;
    for (const auto& [path, tensor] : network.parameters()) {
      if (!path.ends_with(".weight") || tensor.rank() != 4) continue;
      const std::string norm = norm_behind(config, path.substr(0, path.size() - 7));
      if (path.find(".se.") != std::string::npos) {
        EXPECT_EQ(norm, "") << path;
        continue;
      }
      EXPECT_TRUE(state.contains(norm + ".running_mean")) << name << " " << path;
      ++norms;
    }
    size_t means = 0;
    for (const auto& [path, tensor] : state) means += path.ends_with("running_mean");
    EXPECT_EQ(norms, means) << name;
  }
}

TEST(ResNetFamilyStem, OfTwoConvolutionsHasItsNorms) {
  ResNetConfig config = resnet_config("resnet18d");
  config.stem = {16, 64};
  EXPECT_EQ(resnet_norm_behind(config, "conv1.0"), "conv1.1");
  EXPECT_EQ(resnet_norm_behind(config, "conv1.3"), "bn1");
  EXPECT_EQ(resnet_norm_behind(config, "conv1.6"), "");
}

// Networks that are trained from random weights are made without values first.
TEST(ResNetFamilyInitialization, GivesEveryWeightItsNumbers) {
  for (const auto& [name, config] : small_kinds()) {
    const ScopedUnsetValues unset;
    ResNet network(config);
    initialize(network, 1);
    for (const auto& [path, tensor] : network.parameters()) {
      if (!path.ends_with(".weight")) continue;
      const std::vector<double> values = tensor.to_doubles();
      EXPECT_TRUE(std::any_of(values.begin(), values.end(), [](double v) { return v != 0; }))
          << name << " " << path;
    }
  }
}

// What a damaged card or file could ask for.
TEST(ResNetFamilyWidths, AbsurdOnesAreRefused) {
  for (const auto& [groups, width] : {std::pair<int64_t, int64_t>{1, 4096}, {100000, 4}, {0, 64}}) {
    ResNetConfig config = resnet_config("resnet50");
    config.groups = groups;
    config.base_width = width;
    EXPECT_THROW(ResNet{config}, Error) << groups << " " << width;
  }
  ResNetConfig config = resnet_config("resnet50d");
  config.stem = {1 << 20, 64};
  EXPECT_THROW(ResNet{config}, Error);
}

TEST(ResNetFamilyStem, ASmallOneIsForSmallImages) {
  ResNetConfig config = resnet_config("resnet18");
  config.small_stem = true;
  config.classes = 4;
  ResNet network(config);
  test::fill_by_formula(network);
  const TemporaryFolder folder;
  io::write_safetensors(folder / "w.safetensors", network.state_dict());
  const Imported imported = test::import_checked(folder / "w.safetensors");
  EXPECT_TRUE(std::get<ResNetConfig>(imported.model.card.architecture).small_stem);
  EXPECT_EQ(imported.model.card.preprocess.sides(), "32x32");
  ASSERT_FALSE(imported.certificate.notes.empty());
  EXPECT_NE(imported.certificate.notes[0].find("3x3 convolution"), std::string::npos);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("x", {1, 3, 32, 32}).to(MemoryFormat::channels_last);
  EXPECT_EQ(network.forward_stages(x, 0, 1).shape(), Shape({1, 64, 32, 32}));
}

}  // namespace
}  // namespace graft::models
