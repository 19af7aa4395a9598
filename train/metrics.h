// What a classifier's answers are worth: accuracy, confusion matrix, precision and recall per
// class.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

// Index of the largest of each row; the first of equals. Waits for a device.
GRAFT_API std::vector<int64_t> predictions(const Tensor& logits);  // [N,C]

// How many rows of [N,...] hold a NaN or an infinity.
GRAFT_API int64_t rows_not_finite(const Tensor& rows);

class GRAFT_API Evaluation {
 public:
  explicit Evaluation(int64_t classes);  // at least one
  // i64 [N], as many as predictions; all are in [0, classes) or nothing is added (bad_input).
  void add(const std::vector<int64_t>& predicted, const Tensor& labels);
  // predictions() of the logits [N,C], their cross-entropy, which loss() then knows, and how many
  // rows are not finite.
  void add_logits(const Tensor& logits, const Tensor& labels);

  int64_t classes() const { return classes_; }
  int64_t samples() const;
  int64_t correct() const;
  int64_t not_finite() const { return not_finite_; }  // samples whose logits are no numbers
  double accuracy() const;                            // 0 without samples
  double loss() const;             // mean cross-entropy of what add_logits() heard; NaN without
  double f1(int64_t label) const;  // harmonic mean of precision and recall; 0 when both are
  double macro_f1() const;         // mean of f1() over the classes that have samples
  int64_t confusion(int64_t label, int64_t predicted) const;
  std::vector<std::vector<int64_t>> rows() const;  // [label][predicted]
  double precision(int64_t label) const;           // 0 when never predicted
  double recall(int64_t label) const;              // 0 when there is no sample

 private:
  void check_class(int64_t index) const;

  int64_t classes_;
  std::vector<int64_t> confusion_;  // [label][predicted]
  int64_t not_finite_ = 0;
  double loss_sum_ = 0;
  int64_t loss_count_ = 0;
};

// One line of metrics.jsonl.
struct GRAFT_API EpochMetrics {
  int64_t epoch = 0;  // from 1
  double loss = 0;    // mean over the training samples
  double train_accuracy = 0;
  double val_accuracy = 0;
  double val_loss = std::numeric_limits<double>::quiet_NaN();  // a checkpoint of before lacks it
  double val_macro_f1 = std::numeric_limits<double>::quiet_NaN();
  double lr = 0;  // of the epoch's last step
  double images_per_s = 0;
  double seconds = 0;

  std::string to_json() const;
};

}  // namespace graft::train
