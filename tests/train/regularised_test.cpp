// Runs whose weights are drawn to the source's (L2-SP), whose steps look for the worst place nearby
// (SAM), and by LARS and LAMB: what they do, and that a resumed one ends in the same bits.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/parameter_scales.h"
#include "graft/train/probe.h"
#include "graft/train/training_step.h"

namespace graft::train {
namespace {

Recipe regularised_recipe(const char* optimizer = "sgd") {
  Recipe recipe = small_recipe();
  recipe.optimizer.name = optimizer;
  recipe.optimizer.weight_decay = 0.01;
  return recipe;
}

double distance_from_source(const Recipe& recipe, const char* name) {
  const auto network = small_network();
  const auto before = network->state_dict().at(name).to_doubles();
  fit(*network, small_data(), pattern_preprocess(8), recipe, {});
  const auto after = network->state_dict().at(name).to_doubles();
  double squares = 0;
  for (size_t i = 0; i < after.size(); ++i) squares += std::pow(after[i] - before[i], 2);
  return std::sqrt(squares);
}

TEST(DrawnToTheSource, WeightsStayNearerAndTheHeadLearns) {
  Recipe recipe = regularised_recipe();
  recipe.batch_norm = "source";
  const double free = distance_from_source(recipe, "conv3.weight");
  recipe.l2_sp = 10;
  EXPECT_LT(distance_from_source(recipe, "conv3.weight"), free / 2);
  EXPECT_GT(distance_from_source(recipe, "fc.weight"), 0.01);
  EXPECT_NE(recipe.to_json().find("\"l2_sp\":10.0"), std::string::npos);
}

TEST(DrawnToTheSource, AreAllButTheHeadAndWithoutItsDecay) {
  const auto network = small_network();
  const std::vector<NamedTensor> parameters = network->parameters();
  Recipe recipe = regularised_recipe();
  EXPECT_TRUE(parameter_pulls(*network, parameters, recipe, false).empty());
  recipe.l2_sp = 0.1;
  const auto pulls = parameter_pulls(*network, parameters, recipe, false);
  const auto scales = parameter_scales(*network, parameters, recipe);
  ASSERT_EQ(pulls.size(), parameters.size());
  ASSERT_EQ(scales.size(), parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool is_head = parameters[i].name.starts_with("fc");
    EXPECT_EQ(pulls[i].towards.defined(), !is_head) << parameters[i].name;
    EXPECT_EQ(scales[i].decay, is_head ? 1 : 0) << parameters[i].name;
    if (is_head) continue;
    EXPECT_EQ(pulls[i].strength, 0.1);
    EXPECT_EQ(pulls[i].towards.to_doubles(), parameters[i].tensor.to_doubles());
    EXPECT_FALSE(pulls[i].towards.is_same(parameters[i].tensor));
  }
  for (const ParameterPull& pull : parameter_pulls(*network, parameters, recipe, true))
    EXPECT_TRUE(pull.towards.defined());  // a head of the source's
  recipe.decay_norms = false;
  const auto spared = parameter_pulls(*network, parameters, recipe, false);
  for (size_t i = 0; i < parameters.size(); ++i)
    EXPECT_EQ(spared[i].towards.defined(),
              !parameters[i].name.starts_with("fc") && parameters[i].tensor.rank() > 1);
}

TEST(DrawnToTheSource, NothingToDrawIsSaid) {
  Recipe recipe = regularised_recipe();
  recipe.l2_sp = 1;
  recipe.freeze = "stem,layer1,layer2";
  try {
    run_small(recipe);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "l2-sp draws weights towards the source's, and with freeze stem,layer1,layer2 "
                 "only what has no source learns");
  }
}

std::vector<Recipe> regularised_recipes() {
  std::vector<Recipe> recipes;
  for (const char* name : {"lars", "lamb"}) recipes.push_back(regularised_recipe(name));
  Recipe drawn = regularised_recipe("adamw");
  drawn.l2_sp = 0.1;
  drawn.ema = 0.9;
  recipes.push_back(drawn);
  Recipe sharp = regularised_recipe();
  sharp.sam = 0.05;
  sharp.l2_sp = 0.1;
  recipes.push_back(sharp);
  Recipe probing = default_probing_recipe("stem");
  probing.epochs = 2;
  probing.probe_epochs = 2;
  probing.batch = 8;
  probing.warmup_epochs = 0;
  probing.l2_sp = 0.1;
  probing.sam = 0.05;
  recipes.push_back(probing);
  return recipes;
}

TEST(RegularisedRuns, ResumedAfterEveryEpochGiveTheUndisturbedRun) {
  for (const Recipe& recipe : regularised_recipes()) {
    const Outcome undisturbed = run_small(recipe);
    const TemporaryFolder folder;
    Outcome last;
    for (int64_t epoch = 1; epoch <= recipe.all_epochs(); ++epoch) {
      std::atomic<bool> stop{false};
      FitOptions options;
      options.folder = folder / "run";
      options.identity = "test";
      options.checkpoint_seconds = 0;
      options.resume = epoch > 1;
      options.stop = &stop;
      options.on_epoch = [&](const EpochMetrics& metrics) {
        stop = metrics.epoch == epoch && epoch < recipe.all_epochs();
      };
      last = run_small(recipe, options);
    }
    EXPECT_EQ(last.metrics, undisturbed.metrics) << recipe.to_json();
    EXPECT_EQ(last.model, undisturbed.model) << recipe.to_json();
  }
}

TEST(RegularisedRuns, TheProbeOfOneIsPlain) {
  for (const Recipe& recipe : regularised_recipes()) {
    EXPECT_EQ(probe_recipe(recipe).sam, 0);
    EXPECT_EQ(probe_recipe(recipe).l2_sp, 0);
  }
}

Batch sharp_batch() {
  BatchLoader loader(std::make_shared<PatternDataset>(8, 3, 10), pattern_preprocess(8),
                     {.batch = 8});
  Batch batch;
  loader.start(0);
  EXPECT_TRUE(loader.next(batch));
  return batch;
}

struct SharpTraining {
  std::unique_ptr<SmallNetwork> network = small_network();
  Classification task{3};
  std::unique_ptr<Optimizer> optimizer = make_optimizer(network->parameters(), {});
  SharpTraining() { network->train(true); }
};

// The two passes by hand; batch norms' statistics move in the first alone.
TEST(SharpSteps, AreTwoPassesAndTheOptimizersStep) {
  for (const StepPlan& plan : {StepPlan{}, StepPlan{4, false}, StepPlan{0, true}}) {
    SharpTraining one, apart;
    const Batch batch = sharp_batch();
    TrainingStep step(*one.network, 0, one.task, *one.optimizer, {.plan = plan, .sam = 0.5});
    StepResult result = step.run(batch, 0.1);
    EXPECT_TRUE(step.settle(result));
    StepResult expected = add_gradients(*apart.network, 0, apart.task, batch, {.plan = plan});
    expected.read();
    const StateDict state = apart.network->state_dict();
    const Tensor mean = state.at("bn1.running_mean").clone(),
                 batches = state.at("bn1.running_var").clone();
    Sharpness sharpness(apart.network->parameters(), 0.5);
    EXPECT_GT(sharpness.climb(), 0);
    add_gradients(*apart.network, 0, apart.task, batch, {.plan = plan});
    sharpness.descend();
    apart.optimizer->step(0.1);
    EXPECT_EQ(result.loss, expected.loss);
    for (const auto& [name, tensor] : apart.network->state_dict())
      if (name.find("running") == std::string::npos && name.find("tracked") == std::string::npos) {
        EXPECT_EQ(tensor.to_doubles(), one.network->state_dict().at(name).to_doubles()) << name;
      }
    EXPECT_EQ(one.network->state_dict().at("bn1.running_mean").to_doubles(), mean.to_doubles());
    EXPECT_EQ(one.network->state_dict().at("bn1.running_var").to_doubles(), batches.to_doubles());
    for (const NamedTensor& p : one.network->parameters())
      EXPECT_FALSE(grad_of(p.tensor).defined()) << p.name;
  }
}

TEST(SharpSteps, DifferFromPlainOnesAndTriedOutChangeNothing) {
  SharpTraining plain, sharp;
  const Batch batch = sharp_batch();
  const std::string before = bytes_of(*sharp.network);
  TrainingStep sharp_step(*sharp.network, 0, sharp.task, *sharp.optimizer, {.sam = 0.5});
  sharp_step.try_out(batch);
  EXPECT_EQ(bytes_of(*sharp.network), before);
  TrainingStep plain_step(*plain.network, 0, plain.task, *plain.optimizer, {});
  StepResult a = plain_step.run(batch, 0.1), b = sharp_step.run(batch, 0.1);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_NE(bytes_of(*plain.network), bytes_of(*sharp.network));
}

}  // namespace
}  // namespace graft::train
