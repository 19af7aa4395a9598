#include "graft/train/tasks/transcription/sequence_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "graft/core/base/error.h"
#include "graft/kernels/ops/ctc.h"

namespace graft::train {
namespace {

using Labels = std::vector<int64_t>;
constexpr double kNoPath = -std::numeric_limits<double>::infinity();

// log-probability of the paths that spell a prefix, by what they end in.
struct PrefixScore {
  double in_blank = kNoPath, in_label = kNoPath;
  double all() const { return ops::log_added(in_blank, in_label); }
};
using Prefixes = std::map<Labels, PrefixScore>;

void add_path(double& to, double log_p) { to = ops::log_added(to, log_p); }

// Every prefix that one step more can lead to.
Prefixes after_step(const Prefixes& before, const StepScores& scores, int64_t step) {
  Prefixes after;
  for (const auto& [labels, own] : before) {
    const double all = own.all();
    for (int64_t c = 0; c < scores.classes; ++c) {
      const double p = scores.at(step, c);
      if (c == scores.blank) {
        add_path(after[labels].in_blank, all + p);
        continue;
      }
      const bool repeats = !labels.empty() && labels.back() == c;
      if (repeats) add_path(after[labels].in_label, own.in_label + p);
      // The same label again is a new one behind a blank only.
      if (repeats && own.in_blank == kNoPath) continue;
      Labels longer = labels;
      longer.push_back(c);
      add_path(after[std::move(longer)].in_label, (repeats ? own.in_blank : all) + p);
    }
  }
  return after;
}

std::vector<std::pair<Labels, PrefixScore>> best_of(Prefixes prefixes, int64_t width) {
  std::vector<std::pair<Labels, PrefixScore>> sorted(std::make_move_iterator(prefixes.begin()),
                                                     std::make_move_iterator(prefixes.end()));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.all() > b.second.all(); });
  if (std::ssize(sorted) > width) sorted.resize(static_cast<size_t>(width));
  return sorted;
}

}  // namespace

std::vector<int64_t> greedy_labels(const StepScores& scores) {
  Labels labels;
  int64_t before = scores.blank;
  for (int64_t t = 0; t < scores.steps(); ++t) {
    int64_t best = 0;
    for (int64_t c = 1; c < scores.classes; ++c)
      if (scores.at(t, c) > scores.at(t, best)) best = c;
    if (best != scores.blank && best != before) labels.push_back(best);
    before = best;
  }
  return labels;
}

std::vector<FoundLabels> beam_search(const StepScores& scores, int64_t width) {
  GRAFT_CHECK(width >= 1, "beam search: a width of ", width);
  Prefixes kept;
  kept[{}].in_blank = 0;
  for (int64_t t = 0; t < scores.steps(); ++t) {
    auto best = best_of(after_step(kept, scores, t), width);
    kept = Prefixes(std::make_move_iterator(best.begin()), std::make_move_iterator(best.end()));
  }
  std::vector<FoundLabels> found;
  for (auto& [labels, score] : best_of(std::move(kept), width))
    found.push_back({std::move(labels), score.all()});
  return found;
}

}  // namespace graft::train
