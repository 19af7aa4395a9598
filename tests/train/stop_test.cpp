// A stop in every phase of a run: asked for, it comes before the next kernel or image.
#include "graft/core/runtime/stop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/models/folded_norms.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"
#include "graft/train/freezing.h"

namespace graft::train {
namespace {

// Asks for a stop while image number `at` (counted from all images read) is decoded.
class Stopping final : public io::Dataset {
 public:
  Stopping(std::shared_ptr<const io::Dataset> inner, std::atomic<bool>& stop)
      : inner_(std::move(inner)), stop_(stop) {}
  mutable std::atomic<int64_t> images{0};
  int64_t at = -1;

  int64_t size() const override { return inner_->size(); }
  int64_t label(int64_t index) const override { return inner_->label(index); }
  std::string name(int64_t index) const override { return inner_->name(index); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  io::Image image(int64_t index) const override {
    if (images++ == at) stop_ = true;
    return inner_->image(index);
  }

 private:
  std::shared_ptr<const io::Dataset> inner_;
  std::atomic<bool>& stop_;
};

struct Phases {
  std::vector<std::string> heard;
  void operator()(const Progress& p) {
    EXPECT_LE(p.done, p.total);
    if (std::find(heard.begin(), heard.end(), p.phase) == heard.end()) heard.push_back(p.phase);
  }
};

// A network whose norms are neutral, as those of folded weights.
std::unique_ptr<SmallNetwork> folded_network(std::vector<std::string>& paths) {
  auto network = small_network();
  paths = {"bn1", "bn2", "bn3"};
  for (const std::string& path : paths)
    for (const auto& [name, tensor] : network->find(path)->own_tensors())
      if (name == "running_var") Tensor(tensor).copy_from(Tensor::full(tensor.shape(), 1 - 1e-5));
  models::mark_neutral(*network, paths);
  return network;
}

TEST(Stop, KernelsEndWithIt) {
  std::atomic<bool> stop{false};
  const Tensor x = Tensor::zeros({2});
  const ScopedStop scope(&stop);
  functional::relu(x);
  stop = true;
  EXPECT_THROW(functional::relu(x), Stopped);
  {
    const ScopedStop whole(nullptr);
    functional::relu(x);
  }
  EXPECT_THROW(functional::relu(x), Stopped);
  std::thread([&] { functional::relu(x); }).join();  // another thread's flag is another
}

TEST(Stop, EveryPhaseReportsItself) {
  std::vector<std::string> neutral;
  const auto network = folded_network(neutral);
  Recipe recipe = small_recipe("..stem");
  recipe.epochs = 1;
  recipe.batch_norm = "adapt";
  recipe.augment = "none";
  Phases phases;
  FitOptions options;
  options.neutral_norms = neutral;
  options.on_progress = [&](const Progress& p) { phases(p); };
  fit(*network, small_data(), pattern_preprocess(8), recipe, options);
  EXPECT_EQ(phases.heard,
            (std::vector<std::string>{"statistics", "features", "train", "validate"}));
}

// Images read after the stop: at most those that the other threads of the pool had begun.
TEST(Stop, WhileStatisticsAreTaken) {
  for (const char* batch_norm : {"train", "adapt"}) {
    std::vector<std::string> neutral;
    const auto network = folded_network(neutral);
    const std::string before = bytes_of(*network);
    std::atomic<bool> stop{false};
    io::OpenedData data = small_data(200);
    const auto stopping = std::make_shared<Stopping>(data.train, stop);
    stopping->at = 20;
    data.train = stopping;
    Recipe recipe = small_recipe();
    recipe.batch_norm = batch_norm;
    recipe.batch = 64;
    const TemporaryFolder folder;
    FitOptions options;
    options.folder = folder / "run";
    options.neutral_norms = neutral;
    options.stop = &stop;
    const FitResult result = fit(*network, data, pattern_preprocess(8), recipe, options);
    EXPECT_TRUE(result.interrupted);
    EXPECT_TRUE(result.history.empty());
    EXPECT_LE(stopping->images, 21 + current_context().threads());
    EXPECT_EQ(bytes_of(*network), before);  // as it was
    EXPECT_EQ(models::still_neutral(*network, neutral).size(), 3u);
  }
}

// However seldom checkpoints are written: a stop within epoch 3 leaves one of epoch 2, from which
// the run goes on to the same bits.
TEST(Stop, TheLastFinishedEpochIsKept) {
  for (const char* freeze : {"none", "backbone"}) {
    Recipe recipe = small_recipe(freeze);
    recipe.epochs = 4;
    const auto whole = small_network();
    fit(*whole, small_data(), pattern_preprocess(8), recipe, {});
    const TemporaryFolder folder;
    std::atomic<bool> stop{false};
    FitOptions options;
    options.folder = folder / "run";
    options.checkpoint_seconds = 1000;
    options.stop = &stop;
    options.on_progress = [&](const Progress& p) {
      stop = stop || (std::string(p.phase) == "train" && p.epoch == 3);
    };
    const auto network = small_network();
    EXPECT_TRUE(fit(*network, small_data(), pattern_preprocess(8), recipe, options).interrupted);
    EXPECT_EQ(load_run_record(folder / "run/last.ckpt.safetensors").epoch, 2) << freeze;
    options.stop = nullptr;
    options.on_progress = {};
    options.resume = true;
    const auto resumed = small_network();
    fit(*resumed, small_data(), pattern_preprocess(8), recipe, options);
    EXPECT_EQ(bytes_of(*resumed), bytes_of(*whole)) << freeze;
  }
}

// A loss that is no number ends the run, and its finished epochs stay.
TEST(Stop, ALossThatIsNotFiniteKeepsTheLastFinishedEpoch) {
  Recipe recipe = small_recipe();
  recipe.epochs = 6;
  const TemporaryFolder folder;
  FitOptions options;
  options.folder = folder / "run";
  options.checkpoint_seconds = 1000;
  int64_t saved = 0, finished = 0;
  options.save_best = [&](int64_t epoch, const Metric&) { saved = epoch; };
  const auto network = small_network();
  options.on_epoch = [&](const EpochMetrics& metrics) { finished = metrics.epoch; };
  options.on_progress = [&](const Progress& p) {
    if (std::string(p.phase) != "train" || p.epoch != 3) return;
    Tensor weight = static_cast<Linear*>(network->find("fc"))->weight();
    weight.copy_from(Tensor::full(weight.shape(), INFINITY));
  };
  EXPECT_THROW(fit(*network, small_data(), pattern_preprocess(8), recipe, options), Error);
  ASSERT_EQ(finished, 2);
  const io::WeightFile kept = io::read_weights(folder / "run/last.ckpt.safetensors");
  for (const auto& [name, tensor] : kept.tensors)
    for (const double value : tensor.to_doubles()) ASSERT_TRUE(std::isfinite(value)) << name;
  EXPECT_EQ(load_run_record(folder / "run/last.ckpt.safetensors").epoch, 2);
  EXPECT_GE(saved, 1);
}

TEST(Stop, WhileStatisticsAreReestimated) {
  const auto network = small_network();
  std::atomic<bool> stop{false};
  const auto stopping = std::make_shared<Stopping>(small_data(200).train, stop);
  stopping->at = 100;
  BatchLoader loader(stopping, pattern_preprocess(8), {.batch = 16});
  const ScopedStop scope(&stop);
  EXPECT_THROW(reestimate_statistics(*network, loader), Stopped);
  EXPECT_LE(stopping->images, 101 + current_context().threads());
  for (const auto& [name, tensor] : network->buffers()) {
    if (!name.ends_with("running_mean")) continue;
    for (const double v : tensor.to_doubles()) EXPECT_EQ(v, 0) << name;
  }
}

TEST(Stop, WhileFeaturesAreComputedAndWithWorkers) {
  for (const int workers : {0, 2}) {
    const auto network = small_network();
    std::atomic<bool> stop{false};
    io::OpenedData data = small_data(200);
    const auto stopping = std::make_shared<Stopping>(data.train, stop);
    stopping->at = 40;
    data.train = stopping;
    FitOptions options;
    options.stop = &stop;
    options.workers = workers;
    const FitResult result =
        fit(*network, data, pattern_preprocess(8), small_recipe("backbone"), options);
    EXPECT_TRUE(result.interrupted);
    EXPECT_TRUE(result.history.empty());
    EXPECT_LE(stopping->images, 41 + workers + current_context().threads());
  }
}

TEST(Stop, WhileValidatingCalibratingAndEvaluating) {
  const auto network = small_network();
  std::atomic<bool> stop{false};
  const auto stopping = std::make_shared<Stopping>(small_data(200).train, stop);
  const ScopedStop scope(&stop);
  const auto stops = [&](const std::function<void()>& call) {
    stop = false;
    stopping->images = 0;
    stopping->at = 30;
    EXPECT_THROW(call(), Stopped);
    EXPECT_LE(stopping->images, 31 + current_context().threads());
  };
  stops([&] { calibrate(*network, stopping, pattern_preprocess(8)); });
  stops([&] { evaluate(*network, stopping, pattern_preprocess(8), 3); });
  stops([&] {
    PrefixRunner run(*network, network->stages().size());
    BatchLoader loader(stopping, pattern_preprocess(8), {.batch = 64});
    extract_features(run, loader);
  });
}

// A head that learns on standardised features takes plain ones after a stop, wherever it came.
TEST(Stop, TheHeadTakesPlainFeatures) {
  const io::OpenedData data = small_data();
  Recipe recipe = small_recipe("backbone");
  for (const char* phase : {"train", "validate"}) {
    const auto network = small_network();
    std::atomic<bool> stop{false};
    FitOptions options;
    options.stop = &stop;
    options.on_progress = [&](const Progress& p) {
      if (p.epoch == 3 && p.phase == std::string(phase)) stop = true;
    };
    const FitResult result = fit(*network, data, pattern_preprocess(8), recipe, options);
    EXPECT_TRUE(result.interrupted);
    const double accuracy = evaluate(*network, data.val, pattern_preprocess(8), 3).accuracy();
    EXPECT_NEAR(accuracy, result.best_score, 0.26) << phase;
  }
}

// A head that is trained already begins the same again after a stop before its first step.
TEST(Stop, AHeadThatIsTrainedIsTheSameAfterAStopAnywhere) {
  const Recipe recipe = small_recipe("backbone");
  FitOptions trained;
  trained.head_is_trained = true;
  const Outcome undisturbed = run_small(recipe, trained);
  for (int stop_at = 0; stop_at < 6; ++stop_at) {
    const TemporaryFolder folder;
    std::atomic<bool> stop{false};
    int calls = 0;
    FitOptions options = trained;
    options.folder = folder / "run";
    options.stop = &stop;
    options.on_progress = [&](const Progress&) { stop = calls++ == stop_at || stop; };
    run_small(recipe, options);
    ASSERT_TRUE(file_system().exists(folder / "run/last.ckpt.safetensors"));
    FitOptions again = trained;
    again.folder = folder / "run";
    again.resume = true;
    EXPECT_EQ(run_small(recipe, again), undisturbed) << stop_at;
  }
}

}  // namespace
}  // namespace graft::train
