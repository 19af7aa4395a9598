// NumberEvaluation: how far answers that are numbers lie from those that were meant.
#pragma once
#include <vector>

#include "graft/train/tasks/task.h"

namespace graft::train {

// What a number's answers were standardised by: its mean and deviation over the training samples.
struct NumberScale {
  double mean = 0, deviation = 1;
};

class GRAFT_API NumberEvaluation final : public Metric {
 public:
  explicit NumberEvaluation(std::vector<NumberScale> scales);
  // Outputs and targets f32 [N,C], standardised; what is measured is in the numbers' own units.
  void add(const Tensor& outputs, const Targets& targets) override;

  int64_t numbers() const { return static_cast<int64_t>(scales_.size()); }
  int64_t samples() const override { return samples_; }
  int64_t not_finite() const override { return not_finite_; }
  // Mean squared error of standardised numbers; NaN without samples.
  double loss() const override;
  // MAE (of several numbers in deviations, so that none outweighs the others), loss, RMSE
  // (likewise) and R2.
  std::vector<double> scores() const override;
  SampleWorths per_sample() const override { return worths_; }  // what MAE and loss are means of

  // Of one number in its own unit; 0 without samples.
  double mean_absolute_error(int64_t number) const;
  double root_mean_squared_error(int64_t number) const;
  // 1 - sum of squared errors / sum of squares around the targets' mean; where all targets are
  // alike 1 for answers without error, else 0, as scikit-learn has it.
  double r2(int64_t number) const;
  double mean_r2() const;

 private:
  struct Sums {
    double absolute = 0, square = 0;
    double mean = 0, around_mean = 0;  // of the targets (Welford)
  };
  const Sums& at(int64_t number) const;  // bad_input outside of the numbers

  std::vector<NumberScale> scales_;
  std::vector<Sums> sums_;
  SampleWorths worths_;
  int64_t samples_ = 0, not_finite_ = 0;
};

}  // namespace graft::train
