// fit(): it learns, frozen stays frozen, and threads, workers and the feature cache change no bit.
#include "graft/train/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/freezing.h"

namespace graft::train {
namespace {

TEST(Fit, TheLossFalls) {
  Recipe recipe = small_recipe();
  recipe.epochs = 6;
  recipe.lr = 0.05;
  const Outcome outcome = run_small(recipe);
  const auto& history = outcome.result.history;
  ASSERT_EQ(history.size(), 6u);
  EXPECT_LT(history.back().loss, history.front().loss / 2);
  EXPECT_GE(outcome.result.best_score, 0.9);
  EXPECT_EQ(outcome.result.best->samples(), 12);
  EXPECT_DOUBLE_EQ(evaluation_of(outcome.result).accuracy(), outcome.result.best_score);
  EXPECT_EQ(outcome.result.frozen_sha256, "");
  EXPECT_FALSE(outcome.result.interrupted);
}

TEST(Fit, EveryOptimizerAndScheduleTrains) {
  for (const char* optimizer : {"sgd", "adam", "adamw"})
    for (const char* schedule : {"constant", "step", "cosine", "onecycle"}) {
      Recipe recipe = small_recipe();
      recipe.optimizer.name = optimizer;
      recipe.schedule = schedule;
      recipe.label_smoothing = 0.1;
      recipe.warmup_epochs = 1;
      const Outcome outcome = run_small(recipe);
      EXPECT_TRUE(std::isfinite(outcome.result.history.back().loss))
          << optimizer << " " << schedule;
    }
}

TEST(Fit, AFrozenBackboneStaysBitForBit) {
  const auto network = small_network();
  StateDict before;
  for (const auto& [name, tensor] : network->state_dict()) before.add(name, tensor.clone());
  const FitResult result =
      fit(*network, small_data(), pattern_preprocess(8), small_recipe("backbone"), {});
  EXPECT_EQ(result.frozen_sha256.size(), 64u);
  EXPECT_EQ(result.frozen_sha256, frozen_sha256(*network));
  EXPECT_EQ(result.cached_stages, 4);
  for (const auto& [name, tensor] : network->state_dict())
    EXPECT_EQ(tensor.to_doubles() == before.at(name).to_doubles(), name.rfind("fc", 0) != 0)
        << name;
}

TEST(Fit, AChangedFrozenTensorIsNoticed) {
  for (const char* name : {"conv1.weight", "bn1.running_mean", "bn3.bias"}) {
    const auto network = small_network();
    FitOptions options;
    options.on_epoch = [&](const EpochMetrics& metrics) {
      if (metrics.epoch != 2) return;
      Tensor tensor = network->state_dict().at(name);
      tensor.mutable_data<float>()[0] += 1e-3f;
    };
    try {
      fit(*network, small_data(), pattern_preprocess(8), small_recipe("backbone"), options);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::internal) << error.what();
    }
  }
}

TEST(Fit, CachedFeaturesChangeNoBit) {
  for (const char* freeze : {"backbone", "stem", "stem,layer1"})
    for (const bool standardize : {false, true}) {
      Recipe cached = small_recipe(freeze);
      cached.augment = "none";
      cached.standardize = standardize;
      Recipe uncached = cached;
      uncached.cache_features = false;
      const Outcome a = run_small(cached), b = run_small(uncached);
      EXPECT_GT(a.result.cached_stages, 0) << freeze;
      EXPECT_EQ(b.result.cached_stages, 0) << freeze;
      EXPECT_EQ(a.metrics, b.metrics) << freeze << " " << standardize;
      EXPECT_EQ(a.model, b.model) << freeze << " " << standardize;
    }
}

TEST(Fit, TheHeadsPriorIsWeightDecayByFeaturesAndImages) {
  Recipe prior = small_recipe("backbone"), spelled_out = prior, none = prior;
  ASSERT_TRUE(prior.head_prior && prior.standardize);
  spelled_out.head_prior = none.head_prior = false;
  spelled_out.optimizer.weight_decay =
      6.0 / (10 * 25);  // features of the last convolution, training images
  const Outcome a = run_small(prior);
  EXPECT_EQ(a, run_small(spelled_out));
  EXPECT_NE(a.model, run_small(none).model);
  prior.standardize = none.standardize = false;  // a head on plain features has none
  EXPECT_EQ(run_small(prior), run_small(none));
}

TEST(Fit, EndlessAugmentationForbidsTheCache) {
  Recipe recipe = small_recipe("backbone");
  recipe.augment = "light";
  recipe.views = 0;  // changed anew every epoch
  EXPECT_EQ(run_small(recipe).result.cached_stages, 0);
}

TEST(Fit, ThreadsAndWorkersChangeNoBit) {
  for (const char* freeze : {"none", "backbone", "stem"}) {
    const Recipe recipe = small_recipe(freeze);
    const Outcome expected = run_small(recipe);
    for (const int threads : {1, 2, 4})
      for (const int workers : {0, 1, 2, 4}) {
        if (threads != 2 && workers != threads) continue;  // 1x1, 2x0, 2x1, 2x2, 2x4, 4x4
        ExecContext context(threads);
        const ScopedExecContext scope(context);
        FitOptions options;
        options.workers = workers;
        const Outcome outcome = run_small(recipe, options);
        EXPECT_EQ(outcome.metrics, expected.metrics) << freeze << " " << threads << " " << workers;
        EXPECT_EQ(outcome.model, expected.model) << freeze << " " << threads << " " << workers;
      }
  }
}

TEST(Fit, TheSeedDecidesTheOrder) {
  Recipe recipe = small_recipe();
  const Outcome first = run_small(recipe);
  EXPECT_EQ(run_small(recipe), first);
  recipe.seed = 1;
  EXPECT_NE(run_small(recipe).model, first.model);
}

TEST(Fit, ProgressAndMetricsFile) {
  const TemporaryFolder folder;
  FitOptions options;
  options.folder = folder / "run";
  int64_t last = 0, epochs = 0, saved = 0;
  options.on_progress = [&](const Progress& p) {
    EXPECT_LE(p.done, p.total);
    if (std::string(p.phase) == "train") last = p.done;
  };
  options.on_epoch = [&](const EpochMetrics&) { ++epochs; };
  options.save_best = [&](int64_t epoch, const Metric& validation) {
    EXPECT_GE(epoch, 1);
    EXPECT_GE(validation.score(), 0);
    ++saved;
  };
  const Outcome outcome = run_small(small_recipe(), options);
  EXPECT_EQ(last, 24);  // the 25th is left out: a batch of one
  EXPECT_EQ(epochs, 3);
  EXPECT_GE(saved, 1);
  std::ifstream lines(folder / "run/metrics.jsonl");
  std::string line;
  for (const EpochMetrics& metrics : outcome.result.history) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line, metrics.to_json());
  }
  EXPECT_FALSE(std::getline(lines, line));
}

// ---- batch norm

std::vector<double> values(StagedNetwork& network, const std::string& name) {
  return network.state_dict().at(name).to_doubles();
}

TEST(Fit, BatchNormFollowsItsPolicy) {
  struct Case {
    const char *policy, *freeze;
    bool statistics_change, affine_changes;
  };
  const Case cases[] = {{"auto", "none", true, true},       {"auto", "backbone", false, false},
                        {"source", "none", false, false},   {"adapt", "none", true, false},
                        {"adapt", "backbone", true, false}, {"train", "backbone", true, true}};
  for (const Case& c : cases) {
    const auto network = small_network();
    const auto mean = values(*network, "bn2.running_mean"), weight = values(*network, "bn2.weight");
    Recipe recipe = small_recipe(c.freeze);
    recipe.standardize = false;
    recipe.batch_norm = c.policy;
    fit(*network, small_data(), pattern_preprocess(8), recipe, {});
    EXPECT_EQ(values(*network, "bn2.running_mean") != mean, c.statistics_change)
        << c.policy << " " << c.freeze;
    EXPECT_EQ(values(*network, "bn2.weight") != weight, c.affine_changes)
        << c.policy << " " << c.freeze;
  }
}

// ---- what cannot be trained

std::string complaint(const Recipe& recipe, const io::OpenedData& data) {
  const auto network = small_network();
  try {
    fit(*network, data, pattern_preprocess(8), recipe, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Fit, WhatIsImpossibleIsOneSentence) {
  const auto says = [](const std::string& said, const char* part) {
    EXPECT_NE(said.find(part), std::string::npos) << said;
  };
  Recipe recipe = small_recipe();
  says(complaint(recipe, small_data(1)), "one training sample is too few");
  io::OpenedData data = small_data();
  data.val = nullptr;
  says(complaint(recipe, data), "a training and a validation part");
  recipe.freeze = "stem,layer9";
  says(complaint(recipe, small_data()),
       "no stage or module 'layer9'; the stages are stem, layer1, layer2, pool, fc");
  recipe.freeze = "stem,,layer1";
  says(complaint(recipe, small_data()), "no stage or module ''");
  recipe.freeze = "stem,layer1,layer2,fc";
  says(complaint(recipe, small_data()), "leaves nothing to train");
  recipe = small_recipe();
  recipe.lr = 1e30;
  says(complaint(recipe, small_data()), "lower the learning rate");
  data = small_data();
  auto broken = std::make_shared<PatternDataset>(25, 3, 10);
  broken->broken = 7;
  data.train = broken;
  says(complaint(small_recipe(), data), "pattern[7]: broken JPEG");
  data = small_data();
  data.train = std::make_shared<PatternDataset>(25, 5, 10);  // labels beyond the head
  EXPECT_NE(complaint(small_recipe(), data), "no error");
}

TEST(Evaluate, DoesNotDependOnTheBatch) {
  const auto network = small_network();
  const auto data = small_data();
  const Evaluation expected = evaluate(*network, data.train, pattern_preprocess(8), 3, 1);
  EXPECT_EQ(expected.samples(), 25);
  for (const int64_t batch : {2, 7, 64}) {
    const Evaluation evaluation = evaluate(*network, data.train, pattern_preprocess(8), 3, batch);
    for (int64_t i = 0; i < 9; ++i)
      EXPECT_EQ(evaluation.confusion(i / 3, i % 3), expected.confusion(i / 3, i % 3)) << batch;
  }
}

}  // namespace
}  // namespace graft::train
