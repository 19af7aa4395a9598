// Evaluation: what a classifier's answers are worth. Accuracy, confusion
// matrix, precision and recall per class.
#pragma once
#include <vector>

#include "graft/train/tasks/classification/calibration.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

// Index of the largest of each row; the first of equals. Waits for a device.
GRAFT_API std::vector<int64_t> predictions(const Tensor& logits);  // [N,C]

// What was answered to one sample.
struct JudgedSample {
  int32_t label = 0, predicted = 0;
  float certainty = 0, in_label = 0;  // probabilities of what was predicted, and of the label
};

// How many logits an evaluation keeps (8 MiB); of more samples every second, fourth ...
inline constexpr int64_t kMostKeptLogits = int64_t{1} << 21;

class GRAFT_API Evaluation final : public Metric {
 public:
  explicit Evaluation(int64_t classes);  // at least one
  // i64 [N], as many as predictions; all are in [0, classes) or nothing is
  // added (bad_input).
  void add(const std::vector<int64_t>& predicted, const Tensor& labels);
  // predictions() of the logits [N,C], their cross-entropy, which loss() then
  // knows, and how many rows are not finite.
  void add_logits(const Tensor& logits, const Tensor& labels);
  void add(const Tensor& logits, const Targets& labels) override {
    add_logits(logits, labels.one());
  }

  int64_t classes() const { return classes_; }
  int64_t samples() const override;
  int64_t correct() const;
  int64_t not_finite() const override {
    return not_finite_;
  }                                // samples whose logits are no numbers
  double accuracy() const;         // 0 without samples
  double loss() const override;    // mean cross-entropy of what add_logits() heard; NaN without
  double f1(int64_t label) const;  // harmonic mean of precision and recall; 0 when both are
  std::vector<double> scores() const override;
  double score() const override { return accuracy(); }
  SampleWorths per_sample() const override;  // of what add_logits() heard, if that is all
  // Of each sample that add_logits() heard, in their order.
  const std::vector<JudgedSample>& judged() const { return judged_; }
  // The logits that add_logits() heard, at most kMostKeptLogits of them.
  const JudgedLogits& logits() const { return logits_; }
  double macro_f1() const;  // mean of f1() over the classes that have samples
  int64_t confusion(int64_t label, int64_t predicted) const;
  std::vector<std::vector<int64_t>> rows() const;  // [label][predicted]
  double precision(int64_t label) const;           // 0 when never predicted
  double recall(int64_t label) const;              // 0 when there is no sample

 private:
  void check_class(int64_t index) const;
  void keep_logits(const Tensor& logits, const int64_t* label);

  int64_t classes_;
  std::vector<int64_t> confusion_;  // [label][predicted]
  int64_t not_finite_ = 0;
  double loss_sum_ = 0;
  int64_t loss_count_ = 0;
  SampleWorths samples_;
  std::vector<JudgedSample> judged_;
  JudgedLogits logits_;
};

}  // namespace graft::train
