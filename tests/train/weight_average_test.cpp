// Moving averages of the weights: the formula, what is judged and kept, and resuming.
#include "graft/train/weight_average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"

namespace graft::train {
namespace {

double first_of(const StateDict& state, const std::string& name) {
  return state.at(name).to_doubles().at(0);
}

TEST(WeightAverage, FollowsTheFormula) {
  const auto network = small_network();
  WeightAverage average(*network, 0.5);
  const StateDict values = network->state_dict();
  std::map<std::string, double> expected;
  const std::vector<std::string> names = {"conv1.weight", "fc.bias", "bn2.running_var"};
  for (const std::string& name : names) expected[name] = first_of(values, name);
  for (int step = 1; step <= 20; ++step) {
    for (const std::string& name : names) {
      Tensor(values.at(name)).mutable_data<float>()[0] = static_cast<float>(step);
      const double d = std::min(0.5, (1.0 + step) / (10.0 + step));
      expected[name] = d * expected[name] + (1 - d) * step;
    }
    average.update();
    for (const std::string& name : names)
      EXPECT_NEAR(first_of(average.state(), name), expected[name], 1e-5) << name << " " << step;
  }
  EXPECT_EQ(average.state().at("/steps").item(), 20);
  EXPECT_EQ(first_of(values, "fc.bias"), 20) << "the network itself is left alone";
  {
    const AveragesInPlace in_place(&average);
    EXPECT_EQ(first_of(values, "fc.bias"), first_of(average.state(), "fc.bias"));
  }
  EXPECT_EQ(first_of(values, "fc.bias"), 20);
  const AveragesInPlace nothing(nullptr);
}

TEST(WeightAverage, StateCarriesOn) {
  const auto network = small_network();
  WeightAverage first(*network, 0.9);
  Tensor bias = network->state_dict().at("fc.bias");
  bias.mutable_data<float>()[0] = 4;
  first.update();
  StateDict state;
  for (const auto& [name, tensor] : first.state()) state.add(name, tensor.clone());
  WeightAverage second(*network, 0.9);
  second.load_state(state);
  first.update();
  second.update();
  EXPECT_EQ(first_of(first.state(), "fc.bias"), first_of(second.state(), "fc.bias"));
  state.set("/steps", Tensor::of<int64_t>(Shape{}, {-1}));
  EXPECT_THROW(second.load_state(state), Error);
  EXPECT_THROW(second.load_state({}), Error);
  EXPECT_THROW(WeightAverage(*network, 1), Error);
}

Recipe averaged_recipe(const std::string& freeze = "none") {
  Recipe recipe = small_recipe(freeze);
  recipe.ema = 0.9;
  return recipe;
}

// What is kept is not what the last steps left.
TEST(WeightAverage, IsJudgedAndKept) {
  Recipe recipe = averaged_recipe();
  const Outcome averaged = run_small(recipe);
  EXPECT_NE(averaged.model, run_small(small_recipe()).model);
  const auto network = small_network();
  const FitResult result = fit(*network, small_data(), pattern_preprocess(8), recipe, {});
  const Evaluation again = evaluate(*network, small_data().val, pattern_preprocess(8), 3);
  EXPECT_EQ(again.accuracy(), result.best_score);
}

TEST(WeightAverage, ResumesToTheSameBits) {
  Recipe probing = averaged_recipe();
  probing.probe_epochs = 1;
  probing.epochs = 2;
  for (const Recipe& recipe :
       {averaged_recipe(), averaged_recipe("backbone"), averaged_recipe("stem"), probing}) {
    const Outcome whole = run_small(recipe);
    for (int64_t last = 1; last < 3; ++last) {
      const TemporaryFolder folder;
      std::atomic<bool> stop{false};
      // No checkpoint is due: what is written after the stop is the copy in memory.
      FitOptions options{.folder = folder / "run", .checkpoint_seconds = last == 1 ? 0 : 1e9};
      options.stop = &stop;
      options.on_epoch = [&](const EpochMetrics& metrics) { stop = metrics.epoch == last; };
      run_small(recipe, options);
      EXPECT_EQ(run_small(recipe, {.folder = folder / "run", .resume = true}), whole)
          << recipe.to_json() << " after " << last;
    }
  }
}

}  // namespace
}  // namespace graft::train
