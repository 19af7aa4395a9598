// What a classifier's answers are worth: accuracy, confusion matrix, precision and recall per
// class.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

// Index of the largest of each row; the first of equals. Waits for a device.
GRAFT_API std::vector<int64_t> predictions(const Tensor& logits);  // [N,C]

class GRAFT_API Evaluation {
 public:
  explicit Evaluation(int64_t classes);  // at least one
  // i64 [N], as many as predictions; all are in [0, classes) or nothing is added (bad_input).
  void add(const std::vector<int64_t>& predicted, const Tensor& labels);

  int64_t classes() const { return classes_; }
  int64_t samples() const;
  int64_t correct() const;
  double accuracy() const;  // 0 without samples
  int64_t confusion(int64_t label, int64_t predicted) const;
  std::vector<std::vector<int64_t>> rows() const;  // [label][predicted]
  double precision(int64_t label) const;           // 0 when never predicted
  double recall(int64_t label) const;              // 0 when there is no sample

 private:
  void check_class(int64_t index) const;

  int64_t classes_;
  std::vector<int64_t> confusion_;  // [label][predicted]
};

// One line of metrics.jsonl.
struct GRAFT_API EpochMetrics {
  int64_t epoch = 0;  // from 1
  double loss = 0;    // mean over the training samples
  double train_accuracy = 0;
  double val_accuracy = 0;
  double lr = 0;  // of the epoch's last step
  double images_per_s = 0;
  double seconds = 0;

  std::string to_json() const;
};

}  // namespace graft::train
