// Rates by stage, weight decay by kind of parameter, and the norm that gradients are clipped to.
#include "graft/train/parameter_scales.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

std::map<std::string, ParameterScale> scales_of(const Recipe& recipe) {
  const auto network = small_network();
  const std::vector<NamedTensor> parameters = network->parameters();
  const auto scales = parameter_scales(*network, parameters, recipe);
  std::map<std::string, ParameterScale> by_name;
  for (size_t i = 0; i < scales.size(); ++i) by_name[parameters[i].name] = scales[i];
  return by_name;
}

TEST(ParameterScales, FallWithTheDistanceFromTheHead) {
  Recipe recipe = small_recipe();
  EXPECT_TRUE(scales_of(recipe).empty());
  recipe.layer_decay = 0.5;
  auto scales = scales_of(recipe);
  EXPECT_EQ(scales.at("fc.weight").rate, 1);
  EXPECT_EQ(scales.at("fc.bias").rate, 1);
  EXPECT_EQ(scales.at("conv3.weight").rate, 0.5);  // the pool between them has no parameters
  EXPECT_EQ(scales.at("bn3.bias").rate, 0.5);
  EXPECT_EQ(scales.at("conv2.weight").rate, 0.25);
  EXPECT_EQ(scales.at("conv1.weight").rate, 0.125);
  EXPECT_EQ(scales.at("bn1.weight").decay, 1);
}

TEST(ParameterScales, SpareNormsAndBiasesTheDecay) {
  Recipe recipe = small_recipe();
  recipe.decay_norms = false;
  auto scales = scales_of(recipe);
  for (const char* name : {"bn1.weight", "bn2.bias", "fc.bias"})
    EXPECT_EQ(scales.at(name).decay, 0) << name;
  for (const char* name : {"conv1.weight", "fc.weight"}) EXPECT_EQ(scales.at(name).decay, 1);
  EXPECT_EQ(scales.at("fc.bias").rate, 1);
}

struct ScaledStep {
  Tensor weight = Tensor::of<double>({3}, {3, -2, 1}), other = Tensor::of<double>({2}, {1, 2});
  ScaledStep(const OptimizerOptions& options, std::vector<ParameterScale> scales) {
    for (const Tensor& t : {weight, other}) set_requires_grad(t, true);
    const auto optimizer =
        make_optimizer({{"weight", weight}, {"other", other}}, options, std::move(scales));
    for (int step = 0; step < 3; ++step) {
      set_grad(weight, Tensor::of<double>({3}, {3, 0, 0.0}));
      set_grad(other, Tensor::of<double>({2}, {0, -4.0}));
      optimizer->step(0.1);
    }
  }
};

// A parameter at half the rate and a third of the decay is what an optimizer of its own with those
// makes of it.
TEST(ParameterScales, AreAnOptimizerOfItsOwn) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    OptimizerOptions options{.name = name, .weight_decay = 0.3};
    const ScaledStep scaled(options, {{0.5, 1.0 / 3}, {1, 0}});
    Tensor alone = Tensor::of<double>({3}, {3, -2, 1}), free = Tensor::of<double>({2}, {1, 2});
    for (const Tensor& t : {alone, free}) set_requires_grad(t, true);
    options.weight_decay = 0.1;
    const auto half = make_optimizer({{"weight", alone}}, options);
    options.weight_decay = 0;
    const auto whole = make_optimizer({{"other", free}}, options);
    for (int step = 0; step < 3; ++step) {
      set_grad(alone, Tensor::of<double>({3}, {3, 0, 0.0}));
      set_grad(free, Tensor::of<double>({2}, {0, -4.0}));
      half->step(0.05);
      whole->step(0.1);
    }
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(scaled.weight.to_doubles()[i], alone.to_doubles()[i], 1e-12) << name;
    for (size_t i = 0; i < 2; ++i)
      EXPECT_NEAR(scaled.other.to_doubles()[i], free.to_doubles()[i], 1e-12) << name;
  }
  EXPECT_THROW(ScaledStep({}, {{1, 1}}), Error);
  EXPECT_THROW(ScaledStep({}, {{-1, 1}, {1, 1}}), Error);
}

// The gradients (3, 0, 0) and (0, -4) have the norm 5 together.
TEST(ClipNorm, IsOfAllGradientsTogether) {
  const OptimizerOptions plain{.momentum = 0};
  OptimizerOptions clipped = plain;
  clipped.clip_norm = 1;
  const ScaledStep small(clipped, {});
  EXPECT_NEAR(small.weight.to_doubles()[0], 3 - 3 * 0.1 * 0.6, 1e-12);
  EXPECT_NEAR(small.other.to_doubles()[1], 2 + 3 * 0.1 * 0.8, 1e-12);
  clipped.clip_norm = 5;  // not above it
  EXPECT_EQ(ScaledStep(clipped, {}).weight.to_doubles(), ScaledStep(plain, {}).weight.to_doubles());
  clipped.clip_norm = -1;
  EXPECT_THROW(make_optimizer({}, clipped), Error);
}

TEST(ClipNorm, TrainsAndChangesTheRun) {
  Recipe recipe = small_recipe();
  const Outcome plain = run_small(recipe);
  recipe.optimizer.clip_norm = 1e-3;
  const Outcome clipped = run_small(recipe);
  EXPECT_NE(clipped.model, plain.model);
  EXPECT_EQ(run_small(recipe), clipped);
  recipe.optimizer.clip_norm = 1e6;
  EXPECT_EQ(run_small(recipe), plain);
}

// As all stages but the head learn hardly at all.
TEST(LayerDecay, HoldsTheEarlyStages) {
  const auto moved = [](const Recipe& recipe, const char* name) {
    const auto network = small_network(), source = small_network();
    fit(*network, small_data(), pattern_preprocess(8), recipe, {});
    const auto after = network->state_dict().at(name).to_doubles(),
               before = source->state_dict().at(name).to_doubles();
    double most = 0;
    for (size_t i = 0; i < after.size(); ++i) most = std::max(most, std::abs(after[i] - before[i]));
    return most;
  };
  Recipe recipe = small_recipe(), held = recipe;
  held.layer_decay = 0.01;
  EXPECT_LT(moved(held, "conv1.weight"), moved(recipe, "conv1.weight") / 100);
  EXPECT_GT(moved(held, "fc.weight"), moved(recipe, "fc.weight") / 10);
  held.layer_decay = 0;
  EXPECT_THROW(held.validate(), Error);
  EXPECT_NE(recipe.to_json().find("\"lr\""), std::string::npos);
}

}  // namespace
}  // namespace graft::train
