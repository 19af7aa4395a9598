// Which epoch is kept, when a run stops, and how sure its accuracy is.
#include "graft/train/choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/tasks/classification/balance.h"
#include "graft/train/tasks/classification/certainty.h"

namespace graft::train {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

TEST(Choice, AccuracyThenLossThenTheLaterEpoch) {
  EXPECT_TRUE(is_better({0.9, 2}, {0.8, 1}));
  EXPECT_FALSE(is_better({0.8, 1}, {0.9, 2}));
  EXPECT_TRUE(is_better({0.9, 1}, {0.9, 2}));
  EXPECT_FALSE(is_better({0.9, 2}, {0.9, 1}));
  EXPECT_TRUE(is_better({0.9, 1}, {0.9, 1}));  // the candidate is the later one
  EXPECT_TRUE(is_better({0.9, 1}, {0.9, kUnknown}));
  EXPECT_FALSE(is_better({0.9, kUnknown}, {0.9, 1}));
  EXPECT_TRUE(is_better({0.9, kUnknown}, {0.9, kUnknown}));
}

// Figures of the formula in Python.
TEST(Choice, WilsonsInterval) {
  const auto near = [](Interval i, double low, double high) {
    EXPECT_NEAR(i.low, low, 1e-6);
    EXPECT_NEAR(i.high, high, 1e-6);
  };
  near(wilson_interval(9, 12), 0.467695, 0.911058);
  near(wilson_interval(0, 10), 0, 0.277533);
  near(wilson_interval(10, 10), 0.722467, 1);
  near(wilson_interval(900, 1000), 0.879848, 0.917091);
  EXPECT_EQ(how_sure(900, 1000), "");
  EXPECT_EQ(how_sure(9, 12).rfind("12 validation images say little: an accuracy of 0.75 on them "
                                  "means 0.47 to 0.91",
                                  0),
            0u)
      << how_sure(9, 12);
}

TEST(Choice, MacroF1CountsClassesAlike) {
  Evaluation e(3);  // of class 2 there is no image
  e.add({0, 0, 0, 1}, Tensor::of<int64_t>({4}, {0, 0, 1, 1}));
  EXPECT_DOUBLE_EQ(e.f1(0), 0.8);
  EXPECT_DOUBLE_EQ(e.f1(1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(e.macro_f1(), (0.8 + 2.0 / 3) / 2);
  EXPECT_TRUE(std::isnan(e.loss()));
}

TEST(Choice, TheLossIsTheMeanCrossEntropy) {
  Evaluation e(2);
  e.add_logits(Tensor::of<float>({2, 2}, {1000, 0, 0, std::log(3.0f)}),
               Tensor::of<int64_t>({2}, {1, 1}));
  EXPECT_NEAR(e.loss(), (1000 + std::log(4.0 / 3)) / 2, 1e-4);
  EXPECT_EQ(e.correct(), 1);
}

// Rates at which accuracy soon stands still: of its best epochs the one of the lowest loss is kept,
// and its tensors are the ones that come back.
TEST(Choice, TheKeptEpochIsTheOneOfLowestLossAmongTheMostAccurate) {
  Recipe recipe = small_recipe();
  recipe.epochs = 8;
  recipe.lr = 0.05;
  const auto network = small_network();
  const io::OpenedData data = small_data();
  const FitResult result = fit(*network, data, pattern_preprocess(8), recipe, {});
  double highest = 0;
  for (const EpochMetrics& m : result.history) highest = std::max(highest, m.val.at(0).value);
  int64_t ties = 0, lowest = 0;
  double loss = INFINITY;
  for (const EpochMetrics& m : result.history) {
    ASSERT_TRUE(std::isfinite(m.val_score("loss")));
    if (m.val.at(0).value != highest) continue;
    ++ties;
    if (m.val_score("loss") <= loss) loss = m.val_score("loss"), lowest = m.epoch;
  }
  EXPECT_GE(ties, 2) << "the case decides nothing";
  EXPECT_EQ(result.best_epoch, lowest);
  EXPECT_EQ(result.best_loss, loss);
  const Evaluation again = evaluate(*network, data.val, pattern_preprocess(8), 3);
  EXPECT_NEAR(again.loss(), loss, 1e-4);
}

// One epoch that is no better than those before, and the run is over.
TEST(Choice, PatienceEndsARun) {
  Recipe recipe = small_recipe();
  recipe.epochs = 200;
  recipe.lr = 0.05;
  recipe.schedule = "constant";
  recipe.patience = 1;
  const FitResult result = fit(*small_network(), small_data(), pattern_preprocess(8), recipe, {});
  EXPECT_TRUE(result.stopped_early);
  EXPECT_LT(result.history.size(), 200u);
  EXPECT_EQ(std::ssize(result.history), result.best_epoch + recipe.patience);
}

// A finished run goes on to more epochs where that was asked for; another recipe is refused by the
// field that differs.
TEST(Resumption, MoreEpochsGoOn) {
  Recipe recipe = small_recipe();
  recipe.epochs = 2;
  const TemporaryFolder folder;
  FitOptions options;
  options.folder = folder / "run";
  fit(*small_network(), small_data(), pattern_preprocess(8), recipe, options);
  recipe.epochs = 4;
  options.resume = true;
  std::vector<std::string> notes;
  options.on_note = [&](const std::string& text) { notes.push_back(text); };
  const auto refusal = [&] {
    try {
      fit(*small_network(), small_data(), pattern_preprocess(8), recipe, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal().find("is of another recipe: epochs 2 then, 4 now ("), std::string::npos)
      << refusal();
  options.more_epochs = true;
  const FitResult result =
      fit(*small_network(), small_data(), pattern_preprocess(8), recipe, options);
  EXPECT_EQ(result.history.size(), 4u);
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(notes[0].rfind("the run was of 2 epochs and goes on to 4", 0), 0u) << notes[0];
  recipe.lr = 0.5;
  recipe.epochs = 5;
  EXPECT_NE(refusal().find("another recipe: lr 0.01 then, 0.5 now ("), std::string::npos)
      << refusal();
}

// Nine of class 0, three of class 1, none of class 2.
class Uneven final : public io::Dataset {
 public:
  int64_t size() const override { return 12; }
  int64_t label(int64_t i) const override { return i < 9 ? 0 : 1; }
  io::Image image(int64_t i) const override { return pattern_.image(i); }
  std::string name(int64_t i) const override { return std::to_string(i); }
  std::string fingerprint() const override { return "uneven"; }

 private:
  PatternDataset pattern_{12, 3, 10, 1};
};

TEST(Balance, WeightsAndRepeatsMakeClassesCountAlike) {
  EXPECT_EQ(class_weights(Uneven(), 3), (std::vector<double>{12.0 / 18, 2, 1}));
  const auto even = evenly_sampled(std::make_shared<Uneven>(), 3, 5);
  EXPECT_EQ(even->size(), 18);
  std::map<std::string, int> seen;
  for (int64_t i = 0; i < even->size(); ++i) ++seen[even->name(i)];
  EXPECT_EQ(seen["0"], 1);
  for (const char* of_one : {"9", "10", "11"}) EXPECT_EQ(seen[of_one], 3);
}

// The first step's loss of weighed classes is what PyTorch's formula says; micro-batches add up to
// the same step, and resumed sampling is the same data.
TEST(Balance, WeighedStepsAreTheSameInPieces) {
  io::OpenedData data = small_data();
  data.train = std::make_shared<Uneven>();
  const auto loss_of = [&](const char* balance, int64_t micro_batch) {
    Recipe recipe = small_recipe("stem,layer1,layer2");
    recipe.epochs = 1;
    recipe.batch = 12;
    recipe.augment = "none";
    recipe.balance = balance;
    recipe.step.micro_batch = micro_batch;
    return fit(*small_network(), data, pattern_preprocess(8), recipe, {}).history[0].loss;
  };
  EXPECT_NE(loss_of("weights", 0), loss_of("none", 0));
  EXPECT_NEAR(loss_of("weights", 5), loss_of("weights", 0), 1e-6);
  EXPECT_NE(loss_of("sampling", 0), loss_of("none", 0));
  Recipe wrong = small_recipe();
  wrong.balance = "evenly";
  EXPECT_THROW(wrong.validate(), Error);
}

}  // namespace
}  // namespace graft::train
