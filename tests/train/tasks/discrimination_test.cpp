// Scores that tell classes apart: scikit-learn's figures, and their intervals on the same draws.
#include "graft/train/tasks/classification/discrimination.h"

#include <gtest/gtest.h>

#include "graft/core/base/error.h"
#include "graft/core/base/text.h"
#include "graft/tests/train/tasks/discrimination_goldens.h"
#include "graft/train/mcnemar.h"

namespace graft::train {
namespace {

struct MadeUp {
  int64_t classes;
  std::vector<float> logits{}, scores{};
  std::vector<int32_t> labels{}, predicted{};

  ScoredSamples samples() const { return {classes, labels, predicted, scores}; }
};

// As case() of make_discrimination_goldens.py: multiples of 1/16, so that there are ties.
MadeUp made_up(int64_t samples, int64_t classes, uint64_t seed) {
  MadeUp made{classes};
  uint64_t state = seed;
  for (int64_t i = 0; i < samples; ++i) {
    const auto label = static_cast<int32_t>((7 * i + i / 5) % classes);
    made.labels.push_back(label);
    int32_t said = 0;
    for (int32_t c = 0; c < classes; ++c) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto step = static_cast<float>((state >> 33) % 64 + (c == label ? 12 : 0));
      made.logits.push_back(step / 16);
      const size_t row = made.logits.size() - 1 - static_cast<size_t>(c);
      if (made.logits.back() > made.logits[row + static_cast<size_t>(said)]) said = c;
    }
    made.predicted.push_back(said);
  }
  made.scores = scores_against_rest(made.logits, classes);
  return made;
}

TEST(Discrimination, EqualsScikitLearn) {
  for (const DiscriminationGolden& golden : kDiscriminationGoldens) {
    const MadeUp made = made_up(golden.samples, golden.classes, golden.seed);
    DiscriminationOptions options{
        .specificity = golden.specificity, .seed = golden.seed, .resamples = 200};
    for (int64_t i = 0; golden.group > 0 && i < golden.samples; ++i)
      options.groups.push_back(str("patient ", i / golden.group));
    const Discrimination found = discriminate(made.samples(), options);
    std::vector<Estimate> all = {found.auc, found.balanced_accuracy};
    for (const ClassDiscrimination& of_class : found.classes)
      all.insert(all.end(), {of_class.auc, of_class.sensitivity});
    ASSERT_EQ(golden.figures.size(), 3 * all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_NEAR(all[i].value, golden.figures[3 * i], 1e-9) << golden.seed << " figure " << i;
      EXPECT_NEAR(all[i].low, golden.figures[3 * i + 1], 1e-9) << golden.seed << " figure " << i;
      EXPECT_NEAR(all[i].high, golden.figures[3 * i + 2], 1e-9) << golden.seed << " figure " << i;
    }
    EXPECT_EQ(found.groups, golden.group > 0 ? golden.samples / golden.group : 0);
  }
}

TEST(Discrimination, IsKnownForClassesThatAreThere) {
  MadeUp made = made_up(12, 3, 5);
  for (int32_t& label : made.labels) label = label == 2 ? 0 : label;
  const Discrimination found = discriminate(made.samples(), {});
  EXPECT_TRUE(std::isnan(found.classes[2].auc.value));
  EXPECT_TRUE(std::isnan(found.classes[2].sensitivity.value));
  EXPECT_EQ(found.classes[2].images, 0);
  EXPECT_DOUBLE_EQ(found.auc.value, (found.classes[0].auc.value + found.classes[1].auc.value) / 2);
  EXPECT_EQ(found.resamples, 1000);
  for (int32_t& label : made.labels) label = 1;
  const Discrimination alone = discriminate(made.samples(), {});
  EXPECT_TRUE(std::isnan(alone.auc.value));
  EXPECT_TRUE(std::isnan(alone.auc.low));
  EXPECT_FALSE(std::isnan(alone.balanced_accuracy.value));
}

// One group: every draw is the same set, so that the interval has no width.
TEST(Discrimination, DrawsWholeGroups) {
  const MadeUp made = made_up(20, 2, 6);
  DiscriminationOptions options{.groups = std::vector<std::string>(20, "p")};
  const Discrimination one = discriminate(made.samples(), options);
  EXPECT_EQ(one.auc.low, one.auc.value);
  EXPECT_EQ(one.auc.high, one.auc.value);
  EXPECT_EQ(one.groups, 1);
  options.groups.pop_back();
  EXPECT_THROW(discriminate(made.samples(), options), Error);
  EXPECT_THROW(discriminate(made.samples(), {.specificity = 1.5}), Error);
}

TEST(Discrimination, ScoresKeepTheOrderOfCertainAnswers) {
  const std::vector<float> logits = {900, 0, 0, 901, 0, 0, 0, 0, 30};
  const std::vector<float> scores = scores_against_rest(logits, 3);
  EXPECT_GT(scores[3], scores[0]) << "both probabilities are 1";
  EXPECT_FLOAT_EQ(scores[0], 900 - std::log(2.0f));
  EXPECT_FLOAT_EQ(scores[8], 30 - std::log(2.0f));
  EXPECT_FLOAT_EQ(scores[1], -900);
  const std::vector<float> two = scores_against_rest(std::vector<float>{1.5, -0.25}, 2);
  EXPECT_EQ(two, (std::vector<float>{1.75, -1.75}));
}

TEST(McNemar, EqualsTheBinomialTest) {
  for (const McNemarGolden& golden : kMcNemarGoldens)
    EXPECT_NEAR(mcnemar_exact(golden.first, golden.second), golden.p, 1e-9 * golden.p + 1e-15)
        << golden.first << " " << golden.second;
  EXPECT_EQ(mcnemar_exact(3, 12), mcnemar_exact(12, 3));
  EXPECT_THROW(mcnemar_exact(-1, 2), Error);
}

}  // namespace
}  // namespace graft::train
