// The linear probe: how well a linear classifier on the features does on samples it has not seen.
#pragma once
#include "graft/train/tasks/classification/certainty.h"
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

struct ProbeOptions {
  int64_t folds = 5;  // fewer where there are fewer samples
  // Of the regression (LogisticOptions), of which the best is taken; empty: probe_strengths().
  std::vector<double> strengths{};
  double tolerance = 1e-4;
  int most_iterations = 200;
};

struct ProbeScore {
  double share = 0;                 // share of samples that are right when their fold is left out
  Interval interval{};              // of it, 95 %
  std::vector<double> of_folds{};   // the same of each
  double strength = 0;              // the one that was best
  std::vector<uint8_t> is_right{};  // [N], 0 or 1
};

// The fold of each sample: the samples of one class, in their order, go to the folds in turn, and
// the next class goes on where the one before ended; so folds differ by one sample at most, and the
// same samples have the same folds.
GRAFT_API std::vector<int64_t> stratified_folds(const std::vector<int64_t>& labels, int64_t classes,
                                                int64_t folds);

// 0.001 and 0.03, and where that is more 10 / features: the prior under which standardised features
// give logits of variance 10.
GRAFT_API std::vector<double> probe_strengths(int64_t features);

// For each fold logistic regression on the others' features, each standardised by these, judged on
// the fold. The folds are computed on the current context's threads, to the same numbers with any
// number of them. A class with one sample is never right: the others know nothing of it.
GRAFT_API ProbeScore probe(const ClassedFeatures& features, const ProbeOptions& options = {});

}  // namespace graft::train
