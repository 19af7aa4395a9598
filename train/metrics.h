// EpochMetrics: what is known of an epoch, one line of metrics.jsonl.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

// How many rows of [N,...] hold a NaN or an infinity.
GRAFT_API int64_t rows_not_finite(const Tensor& rows);

// The phases of a run that has some (probe.h).
inline constexpr const char *kProbePhase = "probe", *kTunePhase = "tune";

struct Score {
  std::string name{};
  double value = 0;
};

struct GRAFT_API EpochMetrics {
  int64_t epoch = 0;         // from 1
  double loss = 0;           // mean over the training samples
  Score train{};             // what was watched while training, over the same samples
  std::vector<Score> val{};  // of the validation part, in the task's order
  double lr = 0;             // of the epoch's last step
  double images_per_s = 0;
  double seconds = 0;
  std::string phase{};  // of a run in phases (probe.h): "probe" or "tune"

  // A score of the validation part; NaN: not known, as a checkpoint of before may lack one.
  double val_score(const std::string& name) const;
  // Keys "train_NAME" and "val_NAME"; a score that is not finite is left out, and so is no phase.
  std::string to_json() const;
};

}  // namespace graft::train
