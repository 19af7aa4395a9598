// How well a classifier's scores tell the classes apart: area under the ROC curve, sensitivity at a
// fixed specificity, balanced accuracy, each with a bootstrap interval.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// A figure and its 95 % interval; NaN: not known.
struct Estimate {
  double value = NAN, low = NAN, high = NAN;
};

// Of one class against all others.
struct ClassDiscrimination {
  int64_t images = 0;
  Estimate auc{};
  Estimate sensitivity{};  // at the specificity asked for
  double score = NAN;      // from which on the class is said there; NaN: it never is
};

struct Discrimination {
  Estimate auc{};  // of two classes their one; else the mean over the classes (one against the
                   // rest) that are there and not alone
  Estimate balanced_accuracy{};  // mean recall of the classes that are there
  std::vector<ClassDiscrimination> classes{};
  double specificity = 0.9;
  int64_t resamples = 0;  // that the intervals are of
  int64_t groups = 0;     // that were drawn in place of images; 0: images were
};

// What was answered to N samples.
struct ScoredSamples {
  int64_t classes = 2;
  std::span<const int32_t> labels{}, predicted{};  // [N], in [0, classes)
  std::span<const float> scores{};  // [N,classes]: the higher, the likelier is the class; finite
};

struct DiscriminationOptions {
  std::vector<std::string> groups{};  // of each sample; those of a group are drawn together; empty:
                                      // each sample is one of its own
  double specificity = 0.9;           // 0 to 1
  uint64_t seed = 0;
  int64_t resamples =
      0;  // 0: 1,000, or fewer (at least 200) where samples x classes exceed 200,000
};

// AUC: the share of (sample of the class, other sample) pairs in which the first has the higher
// score, ties half (Mann-Whitney). Sensitivity: the largest share of the class's samples with a
// score of at least t, over all t for which the share of other samples below t is not under the
// specificity. Both are NaN where the class has no samples or all.
// Intervals: the 2.5 and 97.5 % quantiles (linear between order statistics) over `resamples` draws
// of as many samples, or groups, with replacement; everything, the threshold too, is computed anew
// on each, and draws in which a figure is not known are left out of its interval. Source: B. Efron,
// R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
GRAFT_API Discrimination discriminate(const ScoredSamples& samples,
                                      const DiscriminationOptions& options);

// Logits [N,classes] as scores of each class against the rest, log(p / (1 - p)) of softmax
// probabilities p: in the order of p, without its rounding to 1.
GRAFT_API std::vector<float> scores_against_rest(std::span<const float> logits, int64_t classes);

}  // namespace graft::train
