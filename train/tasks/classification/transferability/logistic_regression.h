// Multinomial logistic regression with an L2 penalty, by L-BFGS.
#pragma once
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

struct LogisticOptions {
  double strength = 1;  // what the losses' sum is multiplied by beside half the weights' squares
  double tolerance = 1e-4;  // of the largest element of the mean loss's gradient
  int most_iterations = 200;
};

struct LogisticModel {
  int64_t count = 0, classes = 0;
  std::vector<double> weight{};  // [C,D]
  std::vector<double> bias{};    // [C], not penalised
  int iterations = 0;
  bool converged = false;
};

// Minimises strength * (sum of the cross-entropies) + (sum of the squared weights) / 2, which is
// scikit-learn's LogisticRegression with C = strength. Features as they are. Classes without
// samples get the weights 0 and the bias -infinity; at least two have some.
GRAFT_API LogisticModel fit_logistic(const ClassedFeatures& features,
                                     const LogisticOptions& options);
// Log probabilities [N,C] of the model's classes.
GRAFT_API std::vector<double> log_probabilities(const LogisticModel& model,
                                                const ClassedFeatures& features);

}  // namespace graft::train
