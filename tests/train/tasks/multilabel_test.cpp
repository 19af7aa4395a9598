// Several labels a sample: scores, thresholds, the loss, training, resuming, the card.
#include "graft/train/tasks/multilabel/multilabel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "graft/layers/modules/headed_network.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::train {
namespace {

float logit(double probability) {
  return static_cast<float>(std::log(probability / (1 - probability)));
}

// Of probabilities and 0 or 1, sample after sample.
LabelEvaluation evaluated(int64_t labels, const std::vector<double>& probabilities,
                          const std::vector<float>& there) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(logit(p));
  const Shape shape{std::ssize(there) / labels, labels};
  LabelEvaluation evaluation(std::vector<double>(static_cast<size_t>(labels), 0.5));
  evaluation.add(Tensor::of<float>(shape, logits), Tensor::of<float>(shape, there));
  return evaluation;
}

// The examples in scikit-learn's documentation of average_precision_score: 0.83 and 0.77.
TEST(LabelEvaluation, AveragePrecisionIsScikitLearns) {
  const LabelEvaluation one = evaluated(1, {0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1});
  EXPECT_NEAR(one.average_precision(0), 5.0 / 6, 1e-12);
  const LabelEvaluation three = evaluated(
      3, {0.7, 0.2, 0.1, 0.4, 0.3, 0.3, 0.1, 0.8, 0.1, 0.2, 0.3, 0.5, 0.4, 0.4, 0.2, 0.1, 0.2, 0.7},
      {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1});
  EXPECT_NEAR(three.average_precision(0), 5.0 / 6, 1e-12) << "equal scores count at once";
  EXPECT_NEAR(three.mean_average_precision(), 7.0 / 9, 1e-12);
}

TEST(LabelEvaluation, F1AndLoss) {
  // Label 0: right 1, wrong 1, missed 1; label 1: right 2; label 2: never there, said once.
  const LabelEvaluation e =
      evaluated(3, {0.9, 0.8, 0.1, 0.7, 0.2, 0.6, 0.3, 0.9, 0.2}, {1, 1, 0, 0, 0, 0, 1, 1, 0});
  const std::vector<double> even(3, 0.5);
  EXPECT_DOUBLE_EQ(e.counts(0, 0.5).f1(), 0.5);
  EXPECT_DOUBLE_EQ(e.counts(1, 0.5).f1(), 1);
  EXPECT_DOUBLE_EQ(e.macro_f1(even), 0.75) << "of the labels that some sample has";
  EXPECT_DOUBLE_EQ(e.micro_f1(even), 2.0 * 3 / (2 * 3 + 2 + 1));
  const double loss =
      -(std::log(0.9) + std::log(0.8) + std::log(0.9) + std::log(0.3) + std::log(0.8) +
        std::log(0.4) + std::log(0.3) + std::log(0.9) + std::log(0.8)) /
      9;
  EXPECT_NEAR(e.loss(), loss, 1e-6);
  EXPECT_EQ(e.samples(), 3);
  EXPECT_EQ(e.positives(2), 0);
}

TEST(LabelEvaluation, ThresholdsAreWhereF1IsHighest) {
  const LabelEvaluation e =
      evaluated(2, {0.9, 0.2, 0.3, 0.1, 0.2, 0.1, 0.1, 0.2}, {1, 0, 1, 0, 0, 0, 0, 0});
  const std::vector<double> best = e.best_thresholds();
  EXPECT_NEAR(best[0], 0.25, 1e-6) << "halfway between the last that is said and the next";
  EXPECT_EQ(best[1], 0.5) << "nobody has it";
  EXPECT_DOUBLE_EQ(e.counts(0, best[0]).f1(), 1);
  EXPECT_LT(e.counts(0, 0.5).f1(), 1);
}

TEST(LabelEvaluation, AnswersThatAreNoNumbersAreCountedAndNeverSaid) {
  LabelEvaluation e({0.5, 0.5});
  e.add(Tensor::of<float>({2, 2}, {std::nanf(""), 1, 1, -1}),
        Tensor::of<float>({2, 2}, {1, 1, 1, 0}));
  EXPECT_EQ(e.not_finite(), 1);
  EXPECT_EQ(e.counts(0, 0.5).missed, 1);
  EXPECT_GE(e.best_thresholds()[0], 0);
}

// Each image shows its class of the pattern; those of class 2 have two labels and those of class 1
// none at all.
class SeveralLabels final : public io::Dataset {
 public:
  SeveralLabels(int64_t size, uint64_t seed) : images_(size, 3, 10, seed) {}
  int64_t size() const override { return images_.size(); }
  int64_t label(int64_t i) const override { return images_.label(i) == 2 ? 1 : 0; }
  std::vector<int64_t> labels(int64_t i) const override {
    const std::vector<std::vector<int64_t>> of_class = {{0}, {}, {1, 2}};
    return of_class[static_cast<size_t>(images_.label(i))];
  }
  io::Image image(int64_t i) const override { return images_.image(i); }
  std::string name(int64_t i) const override { return images_.name(i); }
  std::string fingerprint() const override { return "several " + images_.fingerprint(); }

 private:
  PatternDataset images_;
};

io::OpenedData several_labels() {
  io::OpenedData data;
  data.answers = io::AnswerKind::several_labels;
  data.train = std::make_shared<SeveralLabels>(25, 1);
  data.val = std::make_shared<SeveralLabels>(12, 2);
  data.classes = {"a", "b", "c"};
  return data;
}

Recipe multilabel_recipe(const std::string& freeze) {
  Recipe recipe = small_recipe(freeze);
  recipe.task = "multilabel";
  return recipe;
}

Outcome run_multilabel(const Recipe& recipe, const FitOptions& options = {}) {
  const auto network = small_network();
  FitResult result = fit(*network, several_labels(), pattern_preprocess(8), recipe, options);
  std::string numbers;
  for (const EpochMetrics& m : result.history)
    numbers += str(m.epoch, " ", m.loss, " ", m.train.value, " ", m.val.at(0).value, "\n");
  return {bytes_of(*network), numbers, std::move(result)};
}

TEST(Multilabel, LearnsAndKeepsTheEpochOfTheHighestPrecision) {
  for (const char* freeze : {"backbone", "none"}) {
    Recipe recipe = multilabel_recipe(freeze);
    recipe.epochs = 12;
    if (freeze == std::string("none")) recipe.lr = 0.02;
    const FitResult result = run_multilabel(recipe).result;
    double highest = 0;
    for (const EpochMetrics& m : result.history) highest = std::max(highest, m.val.at(0).value);
    EXPECT_EQ(result.best_score, highest) << freeze;
    EXPECT_GT(highest, 0.6) << freeze << ": a third is chance";
    EXPECT_EQ(result.history[0].val.at(3).name, "micro_f1");
    EXPECT_EQ(result.history[0].train.name, "label_accuracy");
  }
}

TEST(Multilabel, ResumesToTheSameBits) {
  const Recipe recipe = multilabel_recipe("backbone");
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{.folder = folder / "run", .identity = "x", .checkpoint_seconds = 0};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  EXPECT_TRUE(run_multilabel(recipe, options).result.interrupted);
  stop = false;
  options.on_epoch = {};
  options.resume = true;
  EXPECT_EQ(run_multilabel(recipe, options), run_multilabel(recipe));
}

TEST(Multilabel, PositiveWeightsWeighTheLossOfSamplesThatHaveTheLabel) {
  const io::OpenedData data = several_labels();
  const std::vector<double> weights = positive_weights(*data.train, 3);
  EXPECT_DOUBLE_EQ(weights[0], 16.0 / 9);  // 9 of 25 have it
  EXPECT_DOUBLE_EQ(weights[1], 17.0 / 8);
  const Multilabel task(2, {.positive_weight = {1, 3}});
  const Tensor outputs = Tensor::of<float>({1, 2}, {0.5f, -0.5f});
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  EXPECT_NEAR(task.loss(outputs, Tensor::of<float>({1, 2}, {1, 1})).item(),
              (softplus(-0.5) + 3 * softplus(0.5)) / 2, 1e-6);
  EXPECT_NEAR(task.loss(outputs, Tensor::of<float>({1, 2}, {0, 0})).item(),
              (softplus(0.5) + softplus(-0.5)) / 2, 1e-6);
}

TEST(Multilabel, TheCardKeepsWhatTheValidationPartChose) {
  const Multilabel task(2, {.names = {"a", "b"}});
  const LabelEvaluation validation =
      evaluated(2, {0.9, 0.2, 0.3, 0.4, 0.2, 0.1}, {1, 0, 1, 1, 0, 0});
  const TaskCard card = task.chosen_by(validation)->card();
  EXPECT_TRUE(card.sigmoid);
  const auto read = task_of_card(card);
  EXPECT_EQ(read->card().json, card.json);
  const Tensor outputs = Tensor::of<float>({1, 2}, {logit(0.27), logit(0.29)});
  const auto shown = read->presentation();
  const Tensor answers = shown->readable(outputs);
  const std::span<const float> row(answers.data<float>(), 2);
  EXPECT_EQ(shown->answer_text(row, 1), "a 0.2700") << "its threshold is 0.25, that of b 0.3";
  const std::vector<std::string> said = {"a"};
  EXPECT_EQ(shown->answer_cells(row), (std::vector<AnswerCell>{said}));
  EXPECT_EQ(shown->answer_columns().probabilities, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(Multilabel(2, {.names = {"a", "b"}}).take_head_of(card));
  EXPECT_FALSE(Multilabel(2, {.names = {"b", "a"}}).take_head_of(card));
  EXPECT_FALSE(Classification(2, {.names = {"a", "b"}}).take_head_of(card));
}

TEST(Multilabel, RefusesWhatItCannotBe) {
  const auto refused = [](const TaskCard& card) {
    EXPECT_THROW(task_of_card(card), Error) << card.json;
  };
  for (const char* json :
       {"{\"name\":\"multilabel\"}", "{\"name\":\"multilabel\",\"thresholds\":[0.5]}",
        "{\"name\":\"multilabel\",\"thresholds\":[0.5,2]}",
        "{\"name\":\"multilabel\",\"thresholds\":[0.5,\"x\"]}", "{\"name\":\"dance\"}", "[1]", "{"})
    refused({.json = json, .outputs = 2});
  Recipe recipe = multilabel_recipe("backbone");
  recipe.balance = "sampling";
  EXPECT_THROW(make_task(recipe, several_labels()), Error);
  recipe.balance = "none";
  recipe.task = "classify";
  EXPECT_THROW(make_task(recipe, several_labels()), Error);
  recipe.task = "regress";
  EXPECT_THROW(make_task(recipe, several_labels()), Error);
}

}  // namespace
}  // namespace graft::train
