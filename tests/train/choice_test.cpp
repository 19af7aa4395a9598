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

// Of means alone: whether the later is kept.
bool is_kept(double score, double loss, double earlier_score, double earlier_loss,
             bool higher_is_better = true) {
  EpochChoice choice(higher_is_better);
  EXPECT_TRUE(choice.hear({1, earlier_score, earlier_loss, {}}));
  return choice.hear({2, score, loss, {}});
}

TEST(Choice, OfMeansTheScoreThenTheLossThenTheLaterEpoch) {
  EXPECT_TRUE(is_kept(0.9, 2, 0.8, 1));
  EXPECT_FALSE(is_kept(0.8, 1, 0.9, 2));
  EXPECT_TRUE(is_kept(0.8, 1, 0.9, 2, false));
  EXPECT_TRUE(is_kept(0.9, 1, 0.9, 2));
  EXPECT_FALSE(is_kept(0.9, 2, 0.9, 1));
  EXPECT_TRUE(is_kept(0.9, 1, 0.9, 1));
  EXPECT_TRUE(is_kept(0.9, 1, 0.9, kUnknown));
  EXPECT_FALSE(is_kept(0.9, kUnknown, 0.9, 1));
  EXPECT_TRUE(is_kept(0.9, kUnknown, 0.9, kUnknown));
  EXPECT_FALSE(is_kept(kUnknown, 1, 0.1, 2));
}

// Of twelve samples the first `right` are.
EpochWorth worth_of(int64_t epoch, int right, std::vector<float> losses) {
  EpochWorth w{epoch, right / 12.0, 0, {std::vector<float>(12, 0), std::move(losses)}};
  std::fill_n(w.samples.scores.begin(), right, 1.0f);
  for (const float loss : w.samples.losses) w.loss += loss / 12;
  return w;
}
const std::vector<float> kEven(12, 1.0f);
// A tenth more on the mean: as good as sure, and by chance.
const std::vector<float> kHigher{1.1f, 1.2f, 1.0f, 1.1f, 1.2f, 1.0f,
                                 1.1f, 1.2f, 1.0f, 1.1f, 1.2f, 1.0f};
const std::vector<float> kScattered{3.0f, 0.2f, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// By NumPy's figures two right answers of twelve more are 1.48 standard errors, four 2.35; the
// losses that are higher throughout 4.06, the scattered ones 0.54.
TEST(Choice, OfSamplesOnlyWhatChanceDoesNotExplainCounts) {
  const auto is_kept_after = [](int right, const std::vector<float>& losses, int later_right,
                                const std::vector<float>& later_losses, bool higher = true) {
    EpochChoice choice(higher);
    EXPECT_TRUE(choice.hear(worth_of(1, right, losses)));
    return choice.hear(worth_of(2, later_right, later_losses));
  };
  EXPECT_TRUE(is_kept_after(8, kEven, 8, kEven));
  EXPECT_TRUE(is_kept_after(8, kEven, 6, kScattered)) << "by chance";
  EXPECT_FALSE(is_kept_after(8, kEven, 4, kEven)) << "its score is lower";
  EXPECT_TRUE(is_kept_after(8, kEven, 4, kEven, false)) << "lower is better";
  EXPECT_FALSE(is_kept_after(8, kEven, 12, kEven, false));
  EXPECT_FALSE(is_kept_after(8, kEven, 9, kHigher)) << "its loss is higher";
  EXPECT_TRUE(is_kept_after(8, kEven, 12, kHigher)) << "and its score";
  EpochWorth unknown = worth_of(2, 8, kEven);
  unknown.samples.losses[3] = std::numeric_limits<float>::infinity();
  unknown.loss = INFINITY;
  EpochChoice choice;
  choice.hear(worth_of(1, 8, kEven));
  EXPECT_FALSE(choice.hear(unknown));
}

// A score that is no mean over the samples: their losses decide.
TEST(Choice, OfScoresThatAreNoMeanTheLossesDecide) {
  const auto worth = [](int64_t epoch, double score, const std::vector<float>& losses) {
    EpochWorth w = worth_of(epoch, 0, losses);
    w.score = score;
    w.samples.scores.clear();
    return w;
  };
  EpochChoice choice;
  EXPECT_TRUE(choice.hear(worth(1, 0.9, kEven)));
  EXPECT_TRUE(choice.hear(worth(2, 0.8, kScattered))) << "its loss is higher by chance";
  EXPECT_FALSE(choice.hear(worth(3, 0.95, kHigher)));
  EXPECT_EQ(choice.highest().epoch, 3);
  EXPECT_EQ(choice.lowest().epoch, 1);
}

// Small steps down do not add up to one that counts, and what was better last is known.
TEST(Choice, ComparesWithTheBestAndNotWithTheLast) {
  EpochChoice choice;
  for (int epoch = 1, right = 9; epoch <= 5; ++epoch, --right)
    EXPECT_EQ(choice.hear(worth_of(epoch, right, std::vector<float>(12, 2.0f - 0.1f * epoch))),
              right > 5)
        << epoch;
  EXPECT_EQ(choice.highest().epoch, 1);
  EXPECT_EQ(choice.lowest().epoch, 4);
  EXPECT_EQ(choice.last_better(), 4);
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

// The kept epoch is found again by the network's own answers after each: the tensors that come back
// are its.
TEST(Choice, TheTensorsOfTheKeptEpochComeBack) {
  Recipe recipe = small_recipe();
  recipe.epochs = 8;
  recipe.lr = 0.05;
  const auto network = small_network();
  const io::OpenedData data = small_data();
  const FitResult result = fit(*network, data, pattern_preprocess(8), recipe, {});
  ASSERT_EQ(result.history.size(), 8u);
  ASSERT_GE(result.best_epoch, 1);
  const EpochMetrics& kept = result.history.at(static_cast<size_t>(result.best_epoch - 1));
  EXPECT_EQ(result.best_loss, kept.val_score("loss"));
  EXPECT_EQ(result.best_score, kept.val.at(0).value);
  const Evaluation again = evaluate(*network, data.val, pattern_preprocess(8), 3);
  EXPECT_NEAR(again.loss(), result.best_loss, 1e-4);
  const SampleWorths samples = again.per_sample();
  ASSERT_EQ(std::ssize(samples.losses), again.samples());
  double loss = 0, right = 0;
  for (const float each : samples.losses) loss += each;
  for (const float each : samples.scores) right += each;
  EXPECT_NEAR(loss / static_cast<double>(again.samples()), again.loss(), 1e-6);
  EXPECT_EQ(static_cast<int64_t>(right), again.correct());
}

class Mislabelled final : public io::Dataset {
 public:
  int64_t size() const override { return 24; }
  int64_t label(int64_t i) const override { return (i + 1) % 3; }
  io::Image image(int64_t i) const override { return pattern_.image(i); }
  std::string name(int64_t i) const override { return std::to_string(i); }
  std::string fingerprint() const override { return "mislabelled"; }

 private:
  PatternDataset pattern_{24, 3, 10, 1};
};

// The more is learned of wrong labels the less is right: the kept epoch is not the last. A run that
// broke off in between knows what to compare with.
TEST(Choice, AnEpochThatIsShownToBeWorseIsNotKept) {
  Recipe recipe = small_recipe();
  recipe.epochs = 12;
  recipe.lr = 0.05;
  io::OpenedData data = small_data(25, 60);
  data.train = std::make_shared<Mislabelled>();
  const TemporaryFolder folder;
  const auto whole = small_network(), pieces = small_network();
  const FitResult result = fit(*whole, data, pattern_preprocess(8), recipe, {});
  EXPECT_LT(result.best_epoch, 6);
  EXPECT_GT(result.best_score, result.history.back().val.at(0).value);

  FitOptions options;
  options.folder = folder / "run";
  options.on_epoch = [](const EpochMetrics& m) {
    if (m.epoch == 8) bad_input("no more for today");
  };
  EXPECT_THROW(fit(*pieces, data, pattern_preprocess(8), recipe, options), Error);
  options.on_epoch = nullptr;
  options.resume = true;
  const FitResult resumed = fit(*pieces, data, pattern_preprocess(8), recipe, options);
  EXPECT_EQ(resumed.best_epoch, result.best_epoch);
  EXPECT_EQ(resumed.highest_epoch, result.highest_epoch);
  EXPECT_EQ(bytes_of(*pieces), bytes_of(*whole));
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
  const size_t last = result.history.size() - 1;
  EXPECT_GE(result.history[last].val_score("loss"), result.history[last - 1].val_score("loss"));
  EXPECT_LE(result.history[last].val.at(0).value, result.history[last - 1].val.at(0).value);
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
