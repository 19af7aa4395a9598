// How a classifier's calibration, and what it leaves unanswered, are shown.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/train/tasks/classification/calibration.h"

namespace graft::train {

// What is known of a model's probabilities beside its logits.
struct ProbabilityPolicy {
  Reading reading{};
  std::vector<double> thresholds{};  // [classes]; empty: everything is answered
};

// All four say nothing ("", {}, "{}") where no logits were judged.
// Lines of text: what the probabilities are worth, and how much is answered.
GRAFT_API std::string calibration_text(const JudgedLogits& judged, const ProbabilityPolicy& policy);
// An object of the fields "calibration" and, with thresholds, "answered".
GRAFT_API std::string calibration_json(const JudgedLogits& judged, const ProbabilityPolicy& policy);
// Rows of a report's table.
GRAFT_API std::vector<std::pair<std::string, std::string>> calibration_facts(
    const JudgedLogits& judged, const ProbabilityPolicy& policy);
// A report's section with the reliability diagram.
GRAFT_API std::string calibration_html(const JudgedLogits& judged, const ProbabilityPolicy& policy);

}  // namespace graft::train
