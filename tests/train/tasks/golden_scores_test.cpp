// Scores and losses of made-up answers are scikit-learn's and SciPy's (make_goldens.py).
#include <gtest/gtest.h>

#include "graft/tests/train/tasks/task_goldens.h"
#include "graft/train/tasks/multilabel/multilabel.h"
#include "graft/train/tasks/regression/regression.h"

namespace graft::train {
namespace {

TEST(GoldenScores, OfSeveralLabels) {
  namespace g = goldens;
  LabelEvaluation e(std::vector<double>(g::kLabels, 0.5));
  const Shape shape{g::kSamples, g::kLabels};
  e.add(Tensor::of<float>(shape, g::kLogits), Tensor::of<float>(shape, g::kTargets));
  for (int64_t label = 0; label < g::kLabels; ++label) {
    const auto c = static_cast<size_t>(label);
    EXPECT_NEAR(e.average_precision(label), g::kAveragePrecisions[c], 1e-12) << label;
    EXPECT_NEAR(e.counts(label, 0.5).f1(), g::kF1[c], 1e-12) << label;
  }
  const std::vector<double> scores = e.scores();
  EXPECT_NEAR(scores[0], g::kMeanAp, 1e-12);
  EXPECT_NEAR(scores[1], g::kLogLoss, 1e-9);
  EXPECT_NEAR(scores[2], g::kMacroF1, 1e-12);
  EXPECT_NEAR(scores[3], g::kMicroF1, 1e-12);
}

TEST(GoldenScores, OfNumbers) {
  namespace g = goldens;
  NumberEvaluation e{std::vector<NumberScale>(g::kNumbers)};
  const Shape shape{g::kSamples, g::kNumbers};
  e.add(Tensor::of<float>(shape, g::kNumbersSaid), Tensor::of<float>(shape, g::kNumbersMeant));
  for (int64_t number = 0; number < g::kNumbers; ++number) {
    const auto i = static_cast<size_t>(number);
    EXPECT_NEAR(e.mean_absolute_error(number), g::kMae[i], 1e-5) << number;
    EXPECT_NEAR(e.root_mean_squared_error(number), g::kRmse[i], 1e-5) << number;
    EXPECT_NEAR(e.r2(number), g::kR2[i], 1e-5) << number;
  }
  const SampleWorths samples = e.per_sample();  // the means are of these
  ASSERT_EQ(std::ssize(samples.scores), g::kSamples);
  double error = 0, loss = 0;
  for (const float each : samples.scores) error += each / g::kSamples;
  for (const float each : samples.losses) loss += each / g::kSamples;
  EXPECT_NEAR(error, e.score(), 1e-5);
  EXPECT_NEAR(loss, e.loss(), 1e-5);
}

TEST(GoldenScores, LossesOfSeveralLabels) {
  namespace g = goldens;
  const Shape shape{g::kSamples, g::kLabels};
  const Tensor logits = Tensor::of<float>(shape, g::kLogits);
  const Targets targets = Tensor::of<float>(shape, g::kTargets);
  EXPECT_NEAR(Multilabel(g::kLabels).loss(logits, targets).item(), g::kLogLoss, 1e-6);
  const Multilabel weighted(g::kLabels, {.positive_weight = g::kPositiveWeights});
  EXPECT_NEAR(weighted.loss(logits, targets).item(), g::kWeightedLogLoss, 1e-6);
}

TEST(GoldenScores, LossesOfNumbers) {
  namespace g = goldens;
  const Shape shape{g::kSamples, g::kNumbers};
  const Tensor said = Tensor::of<float>(shape, g::kNumbersSaid);
  const Targets meant = Tensor::of<float>(shape, g::kNumbersMeant);
  const auto loss = [&](NumberLoss kind) {
    return Regression(g::kNumbers, {.loss = kind}).loss(said, meant).item();
  };
  EXPECT_NEAR(loss(NumberLoss::mse), g::kMeanSquaredError, 1e-4);
  EXPECT_NEAR(loss(NumberLoss::l1), g::kMeanAbsoluteError, 1e-5);
  EXPECT_NEAR(loss(NumberLoss::huber), g::kHuberLoss, 1e-5);
}

}  // namespace
}  // namespace graft::train
