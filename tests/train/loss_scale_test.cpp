// The loss scale: its rule, and an optimizer that leaves out a step whose gradients are not finite.
#include "graft/train/loss_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/optimizer.h"

namespace graft::train {
namespace {

TEST(LossScales, DoubleAfterManyStepsAndHalveAfterOneLeftOut) {
  LossScale scale(0);
  EXPECT_EQ(scale.value(), LossScale::kFirst);
  for (int64_t i = 1; i < LossScale::kGrowthInterval; ++i) scale.update(true);
  EXPECT_EQ(scale.value(), LossScale::kFirst);
  scale.update(true);
  EXPECT_EQ(scale.value(), 2 * LossScale::kFirst);
  scale.update(true);
  scale.update(false);
  EXPECT_EQ(scale.value(), LossScale::kFirst);
  EXPECT_EQ(scale.steps_taken(), 0) << "the steps must be in a row";
  for (int i = 0; i < 40; ++i) scale.update(false);
  EXPECT_EQ(scale.value(), 1);
  for (int64_t i = 0; i < 40 * LossScale::kGrowthInterval; ++i) scale.update(true);
  EXPECT_EQ(scale.value(), LossScale::kMost);
}

TEST(LossScales, AFixedOneStays) {
  LossScale scale(128);
  scale.update(false);
  for (int64_t i = 0; i < LossScale::kGrowthInterval; ++i) scale.update(true);
  EXPECT_EQ(scale.value(), 128);
}

// Adam's bias correction tells whether a step that was left out was counted.
TEST(LossScales, AStepLeftOutChangesNothingButTheScale) {
  const auto trained = [](bool with_a_bad_step, double loss_scale) {
    const Tensor w = Tensor::of<float>({3}, {1, -2, 3});
    set_requires_grad(w, true);
    const auto optimizer = make_optimizer({{"w", w}}, {.name = "adam", .loss_scale = loss_scale});
    for (int step = 0; step < 3; ++step) {
      if (with_a_bad_step && step == 1) {
        const std::vector<double> before = w.to_doubles();
        const double scale = optimizer->loss_scale();
        set_grad(w, Tensor::of<float>({3}, {1, INFINITY, 1}));
        optimizer->step(0.1);
        EXPECT_FALSE(optimizer->settle());
        EXPECT_EQ(w.to_doubles(), before);
        set_grad(w, Tensor());
        EXPECT_EQ(optimizer->loss_scale(), loss_scale == 0 ? scale / 2 : scale);
      }
      optimizer->backward_and_step(functional::reduce(functional::mul(w, w), {ops::Reduce::sum}),
                                   0.1);
      EXPECT_TRUE(optimizer->settle());
      EXPECT_FALSE(grad_of(w).defined());
    }
    return w.to_doubles();
  };
  const std::vector<double> plain = trained(false, 1);
  EXPECT_EQ(trained(false, 0), plain) << "powers of two leave no trace";
  EXPECT_EQ(trained(true, 0), plain);
  EXPECT_EQ(trained(true, 256), plain);
}

TEST(LossScales, GoIntoTheCheckpoint) {
  const Tensor w = Tensor::of<float>({1}, {1});
  set_requires_grad(w, true);
  const auto optimizer = make_optimizer({{"w", w}}, {.loss_scale = 0});
  for (const float gradient : {INFINITY, 1.f, 1.f}) {
    set_grad(w, Tensor::of<float>({1}, {gradient}));
    optimizer->step(0.1);
    optimizer->settle();
  }
  const auto other = make_optimizer({{"w", w}}, {.loss_scale = 0});
  other->load_state(optimizer->state());
  EXPECT_EQ(other->loss_scale(), LossScale::kFirst / 2);
  EXPECT_EQ(other->state().at("loss_scale").to_doubles(),
            (std::vector<double>{LossScale::kFirst / 2, 2}));
  StateDict damaged = optimizer->state();
  damaged.set("loss_scale", Tensor::of<double>({2}, {NAN, 0}));
  EXPECT_THROW(other->load_state(damaged), Error);
  EXPECT_THROW(make_optimizer({{"w", w}}, {})->load_state(optimizer->state()), Error);
  EXPECT_THROW(make_optimizer({}, {.loss_scale = -1}), Error);
}

TEST(LossScales, BelongToFloat16) {
  Recipe recipe = small_recipe();
  recipe.loss_scale = 128;
  EXPECT_THROW(recipe.validate(), Error);
  recipe.precision = "fp16";
  recipe.validate();
  EXPECT_NE(recipe.to_json().find("\"loss_scale\":128"), std::string::npos);
  try {
    run_small(recipe);
    FAIL() << "the CPU trained in float16";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("fp16 is for a CUDA device"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace graft::train
