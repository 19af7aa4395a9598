// Which answers of a classifier are worth looking at: mistakes, certain ones, likely wrong labels.
#pragma once
#include <vector>

#include "graft/train/tasks/classification/evaluation.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Samples that are called another class than their label with at least the probability that this
// class has, in the mean, where it is the label (confident learning: Northcutt, Jiang and Chuang,
// JAIR 70, 2021, whose thresholds these are). The least likely labels first.
GRAFT_API std::vector<int64_t> likely_wrong_labels(const std::vector<JudgedSample>& judged);

// Up to `most` samples of each kind; kinds without samples are left out.
GRAFT_API std::vector<Noteworthy> noteworthy_answers(const std::vector<JudgedSample>& judged,
                                                     int64_t most);

}  // namespace graft::train
