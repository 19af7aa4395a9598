// A run in two phases: a probe of the head, tuning from there, and the better of the two is kept.
#include "graft/train/probe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"
#include "graft/train/run_files.h"

namespace graft::train {
namespace {

Recipe probing_recipe(double lr = 0.003, const std::string& freeze = "none") {
  Recipe recipe = default_probing_recipe(freeze);
  recipe.epochs = 2;
  recipe.probe_epochs = 3;
  recipe.batch = 8;
  recipe.warmup_epochs = 0;
  recipe.lr = lr;
  return recipe;
}

std::vector<Recipe> probing_recipes() {
  Recipe adapted = probing_recipe(0.003, "stem");
  adapted.batch_norm = "adapt";
  Recipe trained = probing_recipe(0.003, "stem,layer1");
  trained.batch_norm = "train";
  Recipe head = probing_recipe(0.003, "stem,layer1,layer2");
  head.standardize = true;
  return {probing_recipe(), probing_recipe(3), adapted, trained, head};
}

FitOptions options_in(const TemporaryFolder& folder, bool resume) {
  FitOptions options;
  options.folder = folder / "run";
  options.identity = "test";
  options.checkpoint_seconds = 0;
  options.resume = resume;
  return options;
}

TEST(Probe, ComesFirstAndTheBetterOfTheTwoIsKept) {
  for (const Recipe& recipe : probing_recipes()) {
    const FitResult result = run_small(recipe).result;
    ASSERT_EQ(result.history.size(), 5u);
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(result.history[i].epoch, static_cast<int64_t>(i) + 1);
      EXPECT_EQ(result.history[i].phase, i < 3 ? kProbePhase : kTunePhase);
    }
    EXPECT_GE(result.probe.epoch, 1);
    EXPECT_LE(result.probe.epoch, 3);
    ASSERT_GE(result.tuned.epoch, 4);
    const bool tuned = result.tuned.loss < result.probe.loss;
    EXPECT_EQ(result.kept_phase, tuned ? kTunePhase : kProbePhase) << recipe.to_json();
    EXPECT_EQ(result.best_epoch, tuned ? result.tuned.epoch : result.probe.epoch);
    EXPECT_EQ(result.best_loss, std::min(result.tuned.loss, result.probe.loss));
    ASSERT_TRUE(result.best);
    EXPECT_EQ(result.best->loss(), result.best_loss);
  }
}

// Tuning at an absurd rate: the network is the source's with the head of a frozen run.
TEST(Probe, IsKeptWhereTuningSpoilsTheNetwork) {
  const Recipe recipe = probing_recipe(3);
  const auto network = small_network(), source = small_network(), probed = small_network();
  const FitResult result = fit(*network, small_data(), pattern_preprocess(8), recipe, {});
  fit(*probed, small_data(), pattern_preprocess(8), probe_recipe(recipe), {});
  EXPECT_EQ(result.kept_phase, kProbePhase);
  EXPECT_EQ(bytes_of(*network), bytes_of(*probed));
  EXPECT_NE(bytes_of(*network), bytes_of(*source));
}

TEST(Probe, StaysFrozenWhatTheRecipeFreezes) {
  const auto network = small_network();
  const StateDict before = small_network()->state_dict();
  const FitResult result =
      fit(*network, small_data(), pattern_preprocess(8), probing_recipe(0.003, "stem"), {});
  EXPECT_EQ(result.frozen_sha256.size(), 64u);
  EXPECT_EQ(network->state_dict().at("conv1.weight").to_doubles(),
            before.at("conv1.weight").to_doubles());
  EXPECT_TRUE(requires_grad(network->state_dict().at("conv2.weight")));
  EXPECT_FALSE(requires_grad(network->state_dict().at("conv1.weight")));
}

TEST(Probe, ResumedAfterEveryEpochGivesTheUndisturbedRun) {
  for (const Recipe& recipe : probing_recipes()) {
    const Outcome undisturbed = run_small(recipe);
    const TemporaryFolder folder;
    Outcome last;
    for (int64_t epoch = 1; epoch <= 5; ++epoch) {
      std::atomic<bool> stop{false};
      FitOptions options = options_in(folder, epoch > 1);
      options.stop = &stop;
      options.on_epoch = [&](const EpochMetrics& metrics) {
        stop = metrics.epoch == epoch && epoch < 5;
      };
      last = run_small(recipe, options);
      EXPECT_EQ(last.result.interrupted, epoch < 5);
      const Checkpoint c = load_checkpoint(folder / "run/last.ckpt.safetensors", Classification(3));
      EXPECT_EQ(c.epoch, epoch);
      EXPECT_TRUE(c.phase == kTunePhase || epoch <= 3) << c.phase;
    }
    EXPECT_EQ(last.metrics, undisturbed.metrics) << recipe.to_json();
    EXPECT_EQ(last.model, undisturbed.model) << recipe.to_json();
    EXPECT_EQ(last.result.kept_phase, undisturbed.result.kept_phase);
    EXPECT_EQ(last.result.tuned.epoch, undisturbed.result.tuned.epoch);
    EXPECT_EQ(last.result.probe.loss, undisturbed.result.probe.loss);
    std::string lines;
    for (const EpochMetrics& metrics : last.result.history) lines += metrics.to_json() + "\n";
    EXPECT_EQ(read_text_file(folder / "run/metrics.jsonl", 1 << 20), lines);
  }
}

class ProbeStops : public testing::TestWithParam<size_t> {};

TEST_P(ProbeStops, AnywhereGiveTheUndisturbedRun) {
  const Recipe recipe = probing_recipes()[GetParam()];
  const Outcome undisturbed = run_small(recipe);
  for (int stop_at = 0;; stop_at += 3) {
    const TemporaryFolder folder;
    std::atomic<bool> stop{false};
    int calls = 0;
    FitOptions options = options_in(folder, false);
    options.stop = &stop;
    options.on_progress = [&](const Progress&) { stop = calls++ == stop_at || stop; };
    const Outcome first = run_small(recipe, options);
    if (!file_system().exists(folder / "run/last.ckpt.safetensors")) continue;
    const Outcome second = run_small(recipe, options_in(folder, true));
    EXPECT_EQ(second.metrics, undisturbed.metrics) << stop_at;
    EXPECT_EQ(second.model, undisturbed.model) << stop_at;
    if (!first.result.interrupted) break;
  }
}

// All layers; and a head alone that goes on from the probe's, on standardised features.
INSTANTIATE_TEST_SUITE_P(Train, ProbeStops, testing::Values(size_t{0}, size_t{4}));

// A head that is trained already, stopped before its first step.
TEST(ProbeHead, TrainedBeforeIsTheSameAfterAStopAnywhere) {
  const Recipe recipe = small_recipe("backbone");
  FitOptions trained;
  trained.head_is_trained = true;
  const Outcome undisturbed = run_small(recipe, trained);
  for (int stop_at = 0; stop_at < 6; ++stop_at) {
    const TemporaryFolder folder;
    std::atomic<bool> stop{false};
    int calls = 0;
    FitOptions options = options_in(folder, false);
    options.head_is_trained = true;
    options.stop = &stop;
    options.on_progress = [&](const Progress&) { stop = calls++ == stop_at || stop; };
    run_small(recipe, options);
    ASSERT_TRUE(file_system().exists(folder / "run/last.ckpt.safetensors"));
    FitOptions again = options_in(folder, true);
    again.head_is_trained = true;
    EXPECT_EQ(run_small(recipe, again), undisturbed) << stop_at;
  }
}

TEST(Probe, TheModelFileIsTheSameAfterStops) {
  for (const double lr : {0.003, 3.0}) {
    const Recipe recipe = probing_recipe(lr);
    const auto run_with_model = [&](FitOptions options, const std::string& path) {
      const auto network = small_network();
      options.save_best = [&](int64_t, const Metric&) {
        io::write_safetensors(path, network->state_dict(), {});
      };
      fit(*network, small_data(), pattern_preprocess(8), recipe, options);
      EXPECT_TRUE(options.stop || sha256_of_file(path).size() == 64);
    };
    const TemporaryFolder whole, parts;
    run_with_model(options_in(whole, false), whole / "model");
    std::atomic<bool> stop{false};
    for (int64_t epoch = 1; epoch <= recipe.all_epochs(); ++epoch) {
      FitOptions options = options_in(parts, epoch > 1);
      stop = false;
      options.stop = &stop;
      options.on_epoch = [&](const EpochMetrics& m) { stop = m.epoch == epoch; };
      run_with_model(options, parts / "model");
    }
    EXPECT_EQ(sha256_of_file(whole / "model"), sha256_of_file(parts / "model")) << lr;
  }
}

TEST(Probe, PatienceCountsInEachPhase) {
  Recipe recipe = probing_recipe(1e-30);  // nothing is learned
  recipe.batch_norm = "source";
  recipe.epochs = 6;
  recipe.patience = 1;
  const FitResult result = run_small(recipe).result;
  int64_t tuned = 0;
  for (const EpochMetrics& metrics : result.history) tuned += metrics.phase == kTunePhase;
  EXPECT_GE(tuned, 1);
  EXPECT_LT(tuned, 6);
  EXPECT_TRUE(result.stopped_early);
}

TEST(Probe, OfAnotherRecipeIsRefused) {
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options = options_in(folder, false);
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  run_small(probing_recipe(), options);
  const auto complaint = [&](const Recipe& recipe) -> std::string {
    try {
      run_small(recipe, options_in(folder, true));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  Recipe plain = probing_recipe(), longer = probing_recipe();
  plain.probe_epochs = 0;
  longer.probe_epochs = 4;
  EXPECT_NE(complaint(plain).find("probe_epochs 3 then, not said now"), std::string::npos);
  EXPECT_NE(complaint(longer).find("probe_epochs 3 then, 4 now"), std::string::npos);
  Recipe frozen = probing_recipe(0.003, "backbone");
  EXPECT_NE(complaint(frozen).find("nothing is left to tune"), std::string::npos);
  EXPECT_EQ(complaint(probing_recipe()), "no error");
}

TEST(Probe, TheLowerLossIsKept) {
  const double unknown = std::nan("");
  EXPECT_TRUE(is_tuned_better(0.1, 0.2, 0.5, 0.9, true));
  EXPECT_FALSE(is_tuned_better(0.3, 0.2, 0.9, 0.5, true));
  EXPECT_FALSE(is_tuned_better(0.2, 0.2, 0.9, 0.5, true));
  EXPECT_TRUE(is_tuned_better(unknown, 0.2, 0.9, 0.5, true));
  EXPECT_FALSE(is_tuned_better(0.1, unknown, 0.9, 0.5, false));
  EXPECT_FALSE(is_tuned_better(unknown, 0.2, unknown, 0.5, true));
}

}  // namespace
}  // namespace graft::train
