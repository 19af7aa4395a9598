// What a CTC network's steps spell: the likeliest path, or a search over prefixes. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// log-probabilities [steps,classes] of one sample, each row a distribution.
struct StepScores {
  std::span<const float> log_p{};
  int64_t classes = 0;
  int64_t blank = 0;

  int64_t steps() const { return classes > 0 ? std::ssize(log_p) / classes : 0; }
  float at(int64_t step, int64_t c) const { return log_p[static_cast<size_t>(step * classes + c)]; }
};

// The likeliest class of each step (of equals the first), repeats taken once, blanks left out.
GRAFT_API std::vector<int64_t> greedy_labels(const StepScores& scores);

struct FoundLabels {
  std::vector<int64_t> labels{};
  double log_p = 0;  // of the paths that the search kept: at most that of the labels
};
// Prefix-beam search without a language model (Hannun et al. 2014, "First-Pass Large Vocabulary
// Continuous Speech Recognition using Bi-Directional Recurrent DNNs"): at most `width` (at least 1)
// prefixes are kept at each step. The prefixes left, the likeliest first; of equals the one that
// comes first in alphabetical order of the labels.
GRAFT_API std::vector<FoundLabels> beam_search(const StepScores& scores, int64_t width);

}  // namespace graft::train
