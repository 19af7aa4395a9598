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

// A sample whose label may be wrong.
struct LabelIssue {
  int64_t sample = 0;  // its place in the part
  int32_t label = 0, rather = 0;
  double margin = 0;  // probability of the label less that of the likeliest other class
};
// The same definition where all probabilities are known, as cleanlab's find_label_issues() with
// filter_by "confident_learning" has it: a class is confident for a sample where its probability is
// at least the mean that it has over the samples of its label; one confident class, or of several
// the predicted one, is what the sample rather is. Issues are samples that rather are, and are
// predicted as, another class than their label; those of the lowest margin first.
GRAFT_API std::vector<LabelIssue> label_issues(const JudgedLogits& judged, const Reading& reading);

// Up to `most` samples of each kind; kinds without samples are left out. `wrong_labels`: of the
// third kind, where they are known; null: likely_wrong_labels().
GRAFT_API std::vector<Noteworthy> noteworthy_answers(
    const std::vector<JudgedSample>& judged, int64_t most,
    const std::vector<int64_t>* wrong_labels = nullptr);

}  // namespace graft::train
