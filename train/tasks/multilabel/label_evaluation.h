// LabelEvaluation: what answers of several labels a sample are worth. Average precision, F1 at
// thresholds, and the thresholds that make it best.
#pragma once
#include <functional>
#include <vector>

#include "graft/train/tasks/task.h"

namespace graft::train {

inline constexpr double kEvenThreshold = 0.5;

struct GRAFT_API LabelCounts {
  int64_t right = 0;   // the label is there and was said
  int64_t wrong = 0;   // it was said and is not there
  int64_t missed = 0;  // it is there and was not said

  double precision() const;  // 0 when it was never said
  double recall() const;     // 0 when it is never there
  double f1() const;         // 0 when neither
};

// Keeps every answer: average precision is of their order.
class GRAFT_API LabelEvaluation final : public Metric {
 public:
  // thresholds: of each label's probability, from which on it is said; as many as labels.
  explicit LabelEvaluation(std::vector<double> thresholds);
  // Logits [N,C] and targets f32 [N,C] of 0 and 1.
  void add(const Tensor& outputs, const Targets& targets) override;

  int64_t labels() const { return static_cast<int64_t>(thresholds_.size()); }
  int64_t samples() const override { return samples_; }
  int64_t not_finite() const override { return not_finite_; }
  double loss() const override;  // mean binary cross-entropy of samples and labels; NaN without
  std::vector<double> scores() const override;  // mAP, loss, macro-F1, micro-F1
  double score() const override { return mean_average_precision(); }
  SampleWorths per_sample() const override { return {{}, losses_}; }  // mAP is no mean over samples
  double score_so_far() const override;  // NaN: all answers would be sorted after each batch

  int64_t positives(int64_t label) const;  // samples that have it
  // The mean of the precisions at which each sample that has the label is found, the likeliest
  // first (equal ones at once), as scikit-learn's average_precision_score. 0 without such samples.
  double average_precision(int64_t label) const;
  // Over the labels that some sample has; 0 when there is none.
  double mean_average_precision() const;
  LabelCounts counts(int64_t label, double threshold) const;
  // At these thresholds. macro: the mean over the labels that some sample has; micro: of all counts
  // together.
  double macro_f1(const std::vector<double>& thresholds) const;
  double micro_f1(const std::vector<double>& thresholds) const;
  // Of each label the threshold at which its F1 is highest, of equal ones the highest: halfway
  // between the last probability that is said and the next. 0.5 for a label that no sample has.
  std::vector<double> best_thresholds() const;
  // Of each label the lowest threshold of at least this precision (what is said is there), or the
  // highest of at least this recall (what is there is said), halfway to the next answer as well;
  // where there is none 1, and 0 for recall. 0.5 for a label that no sample has.
  std::vector<double> thresholds_of_precision(double least) const;
  std::vector<double> thresholds_of_recall(double least) const;

 private:
  struct Said {
    double probability;
    bool is_there;
  };
  double threshold_where(int64_t label, double otherwise, bool takes_last,
                         const std::function<bool(const LabelCounts&)>& holds) const;
  std::vector<Said> sorted(int64_t label) const;  // the likeliest first
  size_t place(int64_t label) const;              // bad_input outside of the labels

  std::vector<double> thresholds_;
  std::vector<std::vector<Said>> said_;  // [label][sample]
  int64_t samples_ = 0, not_finite_ = 0;
  double loss_sum_ = 0;
  std::vector<float> losses_;  // of each sample, the mean of its labels
};

// 1 / (1 + exp(-x)), by which a logit is read everywhere in this task.
GRAFT_API double probability_of(double logit);

}  // namespace graft::train
