// Numbers for a sample: scores, scales, the losses, training, resuming, the card.
#include "graft/train/tasks/regression/regression.h"

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

// The examples in scikit-learn's documentation: MAE 0.5, MSE 0.375, R2 0.948; of two numbers MAE
// 0.5 and 1.
TEST(NumberEvaluation, ScoresAreScikitLearns) {
  NumberEvaluation one({{0, 1}});
  one.add(Tensor::of<float>({4, 1}, {2.5f, 0, 2, 8}), Tensor::of<float>({4, 1}, {3, -0.5f, 2, 7}));
  EXPECT_DOUBLE_EQ(one.mean_absolute_error(0), 0.5);
  EXPECT_DOUBLE_EQ(one.root_mean_squared_error(0), std::sqrt(0.375));
  EXPECT_NEAR(one.r2(0), 0.9486081370449679, 1e-12);
  NumberEvaluation two({{0, 1}, {0, 1}});
  two.add(Tensor::of<float>({3, 2}, {0, 2, -1, 2, 8, -5}),
          Tensor::of<float>({3, 2}, {0.5f, 1, -1, 1, 7, -6}));
  EXPECT_DOUBLE_EQ(two.mean_absolute_error(0), 0.5);
  EXPECT_DOUBLE_EQ(two.mean_absolute_error(1), 1);
}

TEST(NumberEvaluation, IsInTheNumbersOwnUnits) {
  NumberEvaluation e({{100, 10}});
  e.add(Tensor::of<float>({1, 1}, {1}), Tensor::of<float>({1, 1}, {0}));
  e.add(Tensor::of<float>({1, 1}, {-1}), Tensor::of<float>({1, 1}, {1}));
  EXPECT_DOUBLE_EQ(e.mean_absolute_error(0), 15) << "10 and 20";
  EXPECT_DOUBLE_EQ(e.loss(), 2.5) << "in deviations: 1 and 4";
  EXPECT_EQ(e.samples(), 2);
  EXPECT_DOUBLE_EQ(e.r2(0), 1 - 500.0 / 50) << "targets 100 and 110";
  NumberEvaluation constant({{0, 1}});
  constant.add(Tensor::of<float>({2, 1}, {1, 2}), Tensor::of<float>({2, 1}, {1, 1}));
  EXPECT_EQ(constant.r2(0), 0) << "all targets are alike, and one answer is off";
}

// The image's class, turned into two numbers of very different size.
class TwoNumbers final : public io::Dataset {
 public:
  TwoNumbers(int64_t size, uint64_t seed) : images_(size, 3, 10, seed) {}
  int64_t size() const override { return images_.size(); }
  int64_t label(int64_t) const override { return 0; }
  std::vector<double> numbers(int64_t i) const override {
    const auto place = static_cast<double>(images_.label(i));
    return {1000 + 300 * place, -0.01 * place};
  }
  io::Image image(int64_t i) const override { return images_.image(i); }
  std::string name(int64_t i) const override { return images_.name(i); }
  std::string fingerprint() const override { return "numbers " + images_.fingerprint(); }

 private:
  PatternDataset images_;
};

io::OpenedData two_numbers() {
  io::OpenedData data;
  data.answers = io::AnswerKind::numbers;
  data.train = std::make_shared<TwoNumbers>(24, 1);
  data.val = std::make_shared<TwoNumbers>(12, 2);
  data.classes = {"weight", "slope"};
  return data;
}

Recipe regression_recipe(const std::string& freeze, const std::string& loss = "") {
  Recipe recipe = small_recipe(freeze);
  recipe.task = "regress";
  recipe.loss = loss;
  return recipe;
}

Outcome run_regression(const Recipe& recipe, const FitOptions& options = {}) {
  HeadedNetwork network(small_network(), std::make_shared<Linear>(6, 2));
  models::initialize(network, 3);
  FitResult result = fit(network, two_numbers(), pattern_preprocess(8), recipe, options);
  std::string numbers;
  for (const EpochMetrics& m : result.history)
    numbers += str(m.epoch, " ", m.loss, " ", m.train.value, " ", m.val.at(0).value, "\n");
  return {bytes_of(network), numbers, std::move(result)};
}

// The score of which less is better: its best epoch is the one of the lowest error, and the kept
// one is that or one which the twelve images do not tell from it.
TEST(Regression, LearnsWithEveryLossAndLessErrorIsBetter) {
  for (const char* loss : {"mse", "l1", "huber"}) {
    Recipe recipe = regression_recipe("none", loss);
    recipe.epochs = 12;
    recipe.lr = 0.02;
    const FitResult result = run_regression(recipe).result;
    const auto error_of = [&](int64_t epoch) {
      return result.history.at(static_cast<size_t>(epoch - 1)).val.at(0).value;
    };
    for (const EpochMetrics& m : result.history)
      EXPECT_GE(m.val.at(0).value, error_of(result.highest_epoch)) << loss;
    EXPECT_EQ(result.best_score, error_of(result.best_epoch)) << loss;
    EXPECT_GE(result.best_epoch, result.highest_epoch) << loss;
    EXPECT_LT(result.best_score, 0.55) << loss << ": always the mean is off by 0.82 deviations";
  }
}

TEST(Regression, ResumesToTheSameBits) {
  const Recipe recipe = regression_recipe("backbone");
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{.folder = folder / "run", .identity = "x", .checkpoint_seconds = 0};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  EXPECT_TRUE(run_regression(recipe, options).result.interrupted);
  stop = false;
  options.on_epoch = {};
  options.resume = true;
  EXPECT_EQ(run_regression(recipe, options), run_regression(recipe));
}

TEST(Regression, TargetsAreStandardisedAndAnswersPutBack) {
  const io::OpenedData data = two_numbers();
  const auto task = make_task(regression_recipe("none"), data);
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.train->size(); ++i) all.push_back(i);
  const Targets targets = task->targets(*data.train, all);
  double sum = 0, square = 0;
  for (const double t : targets.one().to_doubles()) sum += t, square += t * t;
  EXPECT_NEAR(sum / 48, 0, 1e-6);
  EXPECT_NEAR(square / 48, 1, 1e-5);
  const Tensor back = task->presentation()->readable(targets.one());
  for (int64_t i = 0; i < 6; ++i) {
    const std::vector<double> meant = data.train->numbers(i);
    EXPECT_NEAR(back.to_doubles()[static_cast<size_t>(2 * i)], meant[0], 1e-3);
    EXPECT_NEAR(back.to_doubles()[static_cast<size_t>(2 * i + 1)], meant[1], 1e-8);
  }
}

TEST(Regression, HuberIsSquaresNearAndLengthsFar) {
  const Regression huber(1, {.loss = NumberLoss::huber}), l1(1, {.loss = NumberLoss::l1});
  const Tensor outputs = Tensor::of<float>({2, 1}, {0.5f, -3}), zero = Tensor::zeros({2, 1});
  EXPECT_NEAR(huber.loss(outputs, zero).item(), (0.125 + 2.5) / 2, 1e-6);
  EXPECT_NEAR(l1.loss(outputs, zero).item(), 1.75, 1e-6);
}

TEST(Regression, AHeadIsTakenOverWithItsScales) {
  const Regression trained(2, {.names = {"weight", "slope"}, .scales = {{50, 5}, {0, 2}}});
  Regression again(2, {.names = {"weight", "slope"}, .scales = {{60, 6}, {1, 1}}});
  EXPECT_TRUE(again.take_head_of(trained.card()));
  EXPECT_EQ(again.scales()[0].mean, 50);
  EXPECT_EQ(again.card().json, trained.card().json);
  Regression other(2, {.names = {"slope", "weight"}, .scales = {{60, 6}, {1, 1}}});
  EXPECT_FALSE(other.take_head_of(trained.card()));
  const auto read = task_of_card(trained.card());
  const auto shown = read->presentation();
  const Tensor answers = shown->readable(Tensor::of<float>({1, 2}, {1, -1}));
  const std::span<const float> row(answers.data<float>(), 2);
  EXPECT_EQ(shown->answer_text(row, 1), "weight 55.0000\tslope -2.0000");
  EXPECT_EQ(shown->answer_cells(row), (std::vector<AnswerCell>{55.0f, -2.0f}));
  EXPECT_EQ(shown->answer_columns().answers, (std::vector<std::string>{"weight", "slope"}));
  EXPECT_TRUE(shown->answer_columns().probabilities.empty());
  EXPECT_EQ(shown->true_cells(*two_numbers().val, 0).size(), 2u);
}

TEST(Regression, IsJudgedOnItsOwnNumbersOnly) {
  const auto refusal = [](const std::vector<std::string>& own, std::vector<std::string>& notes) {
    const Regression task(std::ssize(own), {.names = own});
    try {
      task.to_judge(two_numbers(), "t.csv", [&](const std::string& n) { notes.push_back(n); });
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  std::vector<std::string> notes;
  EXPECT_EQ(refusal({"weight", "slope"}, notes), "");
  EXPECT_TRUE(notes.empty());
  EXPECT_NE(refusal({"slope", "weight"}, notes).find("--label-column slope,weight"),
            std::string::npos);
  EXPECT_NE(refusal({"slope"}, notes).find("has 2 numbers"), std::string::npos);
  EXPECT_TRUE(notes.empty());
  EXPECT_EQ(refusal({"mass", "slope"}, notes), "");
  EXPECT_EQ(notes.size(), 1u) << "other names may mean the same";
}

TEST(Regression, RefusesWhatItCannotBe) {
  for (const char* json : {"{\"name\":\"regress\"}", "{\"name\":\"regress\",\"mean\":[0]}",
                           "{\"name\":\"regress\",\"mean\":[0],\"deviation\":[0]}",
                           "{\"name\":\"regress\",\"mean\":[\"x\"],\"deviation\":[1]}"})
    EXPECT_THROW(task_of_card({.json = json, .outputs = 1}), Error) << json;
  Recipe recipe = regression_recipe("backbone", "cubic");
  EXPECT_THROW(recipe.validate(), Error);
  recipe.loss = "l1";
  recipe.task = "classify";
  EXPECT_THROW(make_task(recipe, small_data()), Error);
  recipe.task = "regress";
  recipe.balance = "weights";
  EXPECT_THROW(make_task(recipe, two_numbers()), Error);
}

}  // namespace
}  // namespace graft::train
