// What a program brings itself: a loss, a head, and a whole task. Training, caching, the best epoch
// and resuming know none of them.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "graft/examples/custom_head/two_layers.h"
#include "graft/examples/custom_loss/confidence_penalty.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

TEST(CustomLoss, OfTheExampleTrains) {
  const Recipe recipe = small_recipe("backbone");
  FitOptions options;
  options.task = std::make_shared<ConfidencePenalty>(3);
  const Outcome plain = run_small(recipe), penalized = run_small(recipe, options);
  EXPECT_EQ(penalized.result.history.size(), 3u);
  EXPECT_NE(penalized.model, plain.model);
  EXPECT_LT(penalized.result.history[0].loss, plain.result.history[0].loss)
      << "the penalty is the entropy with a minus";
}

TEST(CustomHead, OfTheExampleTrainsOnCachedFeatures) {
  Recipe recipe = small_recipe("backbone");
  recipe.epochs = 8;
  HeadedNetwork network = with_two_layers(small_network(), 6, 3);
  EXPECT_EQ(network.stages(),
            (std::vector<std::string>{"stem", "layer1", "layer2", "pool", "head"}));
  const FitResult result = fit(network, small_data(), pattern_preprocess(8), recipe, {});
  EXPECT_EQ(result.cached_stages, 4);
  const auto& highest = result.history.at(static_cast<size_t>(result.highest_epoch - 1));
  EXPECT_GT(highest.val.at(0).value, 0.6) << "on features of a random backbone; 1/3 is chance";
}

// A number for each image: its class as a point on a line.
class MeanError final : public Metric {
 public:
  void add(const Tensor& outputs, const Targets& targets) override {
    const std::vector<double> y = outputs.to_doubles(), t = targets.one().to_doubles();
    for (size_t i = 0; i < y.size(); ++i) {
      absolute_ += std::abs(y[i] - t[i]);
      square_ += (y[i] - t[i]) * (y[i] - t[i]);
      ++count_;
    }
  }
  int64_t samples() const override { return count_; }
  int64_t not_finite() const override { return 0; }
  double loss() const override { return square_ / static_cast<double>(count_); }
  std::vector<double> scores() const override {
    return {absolute_ / static_cast<double>(count_), loss()};
  }

 private:
  double absolute_ = 0, square_ = 0;
  int64_t count_ = 0;
};

class Position final : public Task {
 public:
  std::string name() const override { return "position"; }
  int64_t outputs() const override { return 1; }
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override {
    std::vector<float> numbers;
    for (const int64_t sample : samples)
      numbers.push_back(static_cast<float>(dataset.label(sample)) - 1);
    return Tensor::of<float>({std::ssize(samples), 1}, numbers);
  }
  Targets made_up_targets(int64_t samples, const io::Preprocess&) const override {
    return Tensor::zeros({samples, 1});
  }
  void check(const Targets&, const Shape&) const override {}
  Tensor loss(const Tensor& outputs, const Targets& targets) const override {
    return functional::mean_squared_error(outputs, targets.one());
  }
  const std::vector<ScoreKind>& scores() const override {
    constexpr double huge = std::numeric_limits<double>::max();
    static const std::vector<ScoreKind> kinds{{"mae", 0, huge, false}, {"loss", 0, huge, false}};
    return kinds;
  }
  std::unique_ptr<Metric> metric() const override { return std::make_unique<MeanError>(); }
  const ScoreKind& running_score() const override { return scores()[0]; }
  double running_sum(const Tensor& outputs, const Targets& targets) const override {
    MeanError error;
    error.add(outputs, targets);
    return error.scores()[0] * static_cast<double>(error.samples());
  }
};

Outcome run_position(const Recipe& recipe, FitOptions options = {}) {
  options.task = std::make_shared<Position>();
  HeadedNetwork network(small_network(), std::make_shared<Linear>(6, 1));
  models::initialize(network, 3);
  FitResult result = fit(network, small_data(), pattern_preprocess(8), recipe, options);
  std::string numbers;
  for (const EpochMetrics& m : result.history)
    numbers += str(m.epoch, " ", m.loss, " ", m.train.value, " ", m.val.at(0).value, "\n");
  return {bytes_of(network), numbers, std::move(result)};
}

TEST(CustomTask, LearnsAndKeepsTheLowestError) {
  for (const char* freeze : {"backbone", "none"}) {
    Recipe recipe = small_recipe(freeze);
    recipe.epochs = 12;
    if (freeze == std::string("none")) recipe.lr = 0.02;
    const FitResult result = run_position(recipe).result;
    double lowest = std::numeric_limits<double>::infinity();
    for (const EpochMetrics& m : result.history) lowest = std::min(lowest, m.val.at(0).value);
    EXPECT_EQ(result.best_score, lowest) << freeze;
    if (freeze == std::string("none")) {
      EXPECT_LT(lowest, 1.0 / 3) << "half of what always the middle is off by";
    }
    EXPECT_EQ(result.cached_stages, freeze == std::string("none") ? 0 : 4);
  }
}

TEST(CustomTask, MicroBatchesAndAMemoryPlanAreTheSameForIt) {
  Recipe recipe = small_recipe("backbone");
  const Outcome whole = run_position(recipe);
  FitOptions options;
  options.ram = int64_t{1} << 30;
  EXPECT_EQ(run_position(recipe, options), whole);
  recipe.step.micro_batch = 4;
  EXPECT_NEAR(run_position(recipe).result.best_score, whole.result.best_score, 1e-3);
}

TEST(CustomTask, ResumesToTheSameBits) {
  const Recipe recipe = small_recipe("backbone");
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{.folder = folder / "run", .identity = "x", .checkpoint_seconds = 0};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  EXPECT_TRUE(run_position(recipe, options).result.interrupted);
  const std::string lines = read_text_file(folder / "run/metrics.jsonl", 1 << 20);
  EXPECT_NE(lines.find("\"train_mae\":"), std::string::npos) << lines;
  EXPECT_NE(lines.find("\"val_mae\":"), std::string::npos) << lines;
  stop = false;
  options.on_epoch = {};
  options.resume = true;
  EXPECT_EQ(run_position(recipe, options), run_position(recipe));
}

// A checkpoint of one task is no other's.
TEST(CustomTask, ACheckpointOfAnotherTaskIsRefused) {
  const TemporaryFolder folder;
  FitOptions options{.folder = folder / "run", .identity = "x"};
  const Recipe recipe = small_recipe("backbone");
  run_small(recipe, options);
  options.resume = true;
  EXPECT_THROW(run_position(recipe, options), Error);
}

TEST(HeadedNetwork, RefusesWhatIsNoNetwork) {
  EXPECT_THROW(HeadedNetwork(nullptr, nullptr), Error);
  HeadedNetwork network(small_network(), std::make_shared<Linear>(6, 1));
  EXPECT_THROW(network.forward_stages(Tensor::zeros({1, 6}), 4, 9), Error);
}

}  // namespace
}  // namespace graft::train
