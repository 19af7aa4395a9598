// The range test: rates that rise by one factor, the rule that suggests one, and a network that is
// afterwards what it was.
#include "graft/train/rate_range.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

std::vector<RateStep> steps_of(const std::vector<double>& smoothed) {
  std::vector<RateStep> steps;
  for (size_t i = 0; i < smoothed.size(); ++i)
    steps.push_back({std::pow(10.0, static_cast<double>(i) - 5), smoothed[i], smoothed[i]});
  return steps;
}

TEST(SuggestedRate, IsATenthOfTheLowestLosss) {
  EXPECT_DOUBLE_EQ(suggested_rate(steps_of({2, 1.9, 1.5, 0.7, 0.9, 4})).rate, 1e-3);
  EXPECT_DOUBLE_EQ(suggested_rate(steps_of({-1, -1.2, -3, 0})).rate, 1e-4);  // losses below 0
  EXPECT_NE(suggested_rate(steps_of({2, 1})).reason.find("a tenth of the rate"), std::string::npos);
}

TEST(SuggestedRate, IsNoneWhereNothingFell) {
  for (const auto& losses : {std::vector<double>{1, 1, 1}, {1, 2, 4}, {1, 0.995, 3}}) {
    const SuggestedRate none = suggested_rate(steps_of(losses));
    EXPECT_EQ(none.rate, 0);
    EXPECT_EQ(none.reason, "no rate is suggested: the loss did not fall at any");
  }
  EXPECT_EQ(suggested_rate({}).rate, 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(suggested_rate(steps_of({nan, nan})).reason,
            "no rate is suggested: no loss was finite");
  EXPECT_DOUBLE_EQ(suggested_rate(steps_of({2, 1, nan})).rate, 1e-5);
}

RateRange small_range(StagedNetwork& network, const Recipe& recipe, RateRangeOptions range = {},
                      const FitOptions& options = {}) {
  return rate_range(network, small_data(), pattern_preprocess(8), recipe, options, range);
}

TEST(RateRangeTest, RisesByOneFactorAndRepeatsItself) {
  const auto network = small_network();
  const RateRangeOptions range{.from = 1e-5, .to = 0.1, .steps = 41};
  const RateRange once = small_range(*network, small_recipe(), range);
  ASSERT_EQ(once.steps.size(), 41u);
  EXPECT_DOUBLE_EQ(once.steps[0].lr, 1e-5);
  EXPECT_NEAR(once.steps[20].lr, 1e-3, 1e-12);
  EXPECT_NEAR(once.steps[40].lr, 0.1, 1e-12);
  EXPECT_EQ(once.steps[0].smoothed, once.steps[0].loss);
  EXPECT_NEAR(once.steps[1].smoothed, (0.98 * once.steps[0].loss + once.steps[1].loss) / 1.98,
              1e-9);
  EXPECT_FALSE(once.diverged);
  EXPECT_GT(once.suggested, 0);
  const RateRange again = small_range(*network, small_recipe(), range);
  for (size_t i = 0; i < once.steps.size(); ++i) {
    EXPECT_EQ(again.steps[i].loss, once.steps[i].loss) << i;
    EXPECT_EQ(again.steps[i].lr, once.steps[i].lr) << i;
  }
}

// Whatever the recipe does to a network, and however the test ends.
TEST(RateRangeTest, LeavesTheNetworkAsItWas) {
  Recipe averaged = small_recipe(), adapted = small_recipe("stem"), sharp = small_recipe();
  averaged.optimizer.name = "adam";
  averaged.mixup = 0.2;
  adapted.batch_norm = "adapt";
  sharp.sam = 0.05;
  sharp.l2_sp = 0.1;
  for (const Recipe& recipe :
       {small_recipe(), small_recipe("backbone"), averaged, adapted, sharp}) {
    const auto network = small_network();
    const std::string before = bytes_of(*network);
    const RateRange range = small_range(*network, recipe, {.to = 1e4, .steps = 60});
    EXPECT_EQ(bytes_of(*network), before) << recipe.to_json();
    for (const NamedTensor& p : network->parameters()) {
      EXPECT_TRUE(requires_grad(p.tensor)) << p.name;
      EXPECT_FALSE(grad_of(p.tensor).defined()) << p.name;
    }
    network->train(true);
    network->for_each_module([](const std::string& path, Module& module) {
      EXPECT_FALSE(module.frozen()) << path;
      const auto* norm = dynamic_cast<BatchNorm2d*>(&module);
      EXPECT_TRUE(!norm || norm->normalises_by_batch()) << path;
    });
    fit(*network, small_data(), pattern_preprocess(8), recipe, {});
    EXPECT_EQ(bytes_of(*network), run_small(recipe).model) << recipe.to_json();
  }
}

TEST(RateRangeTest, EndsWhereTheLossGoesTooHigh) {
  const auto network = small_network();
  const RateRange range = small_range(*network, small_recipe(), {.to = 1e6, .steps = 50});
  EXPECT_TRUE(range.diverged);
  EXPECT_LT(range.steps.size(), 50u);
  EXPECT_LT(range.suggested, range.steps.back().lr);
}

TEST(RateRangeTest, CanBeStopped) {
  const auto network = small_network();
  const std::string before = bytes_of(*network);
  std::atomic<bool> stop{false};
  FitOptions options;
  options.stop = &stop;
  options.on_progress = [&](const Progress& progress) { stop = progress.done >= 5; };
  const RateRange range = small_range(*network, small_recipe(), {}, options);
  EXPECT_TRUE(range.interrupted);
  EXPECT_LT(range.steps.size(), 100u);
  EXPECT_EQ(bytes_of(*network), before);
}

TEST(RateRangeTest, RefusesARangeThatIsNone) {
  const auto network = small_network();
  const auto complaint = [&](const RateRangeOptions& range) -> std::string {
    try {
      small_range(*network, small_recipe(), range);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(complaint({.from = 0}), "range test: rates from 0 to 10 do not rise from above 0");
  EXPECT_EQ(complaint({.from = 1, .to = 1}),
            "range test: rates from 1 to 1 do not rise from above 0");
  EXPECT_EQ(complaint({.steps = 9}), "range test: 9 steps are not between 10 and 100000");
}

}  // namespace
}  // namespace graft::train
