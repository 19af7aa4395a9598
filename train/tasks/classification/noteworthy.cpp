#include "graft/train/tasks/classification/noteworthy.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace graft::train {
namespace {

// Those for which `counts` holds, in falling order of `rank`; of equals the first.
template <class Counts, class Rank>
std::vector<int64_t> ranked(const std::vector<JudgedSample>& judged, Counts counts, Rank rank) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < judged.size(); ++i)
    if (std::isfinite(judged[i].certainty) && counts(judged[i]))
      order.push_back(static_cast<int64_t>(i));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return rank(judged[static_cast<size_t>(a)]) > rank(judged[static_cast<size_t>(b)]);
  });
  return order;
}

}  // namespace

std::vector<int64_t> likely_wrong_labels(const std::vector<JudgedSample>& judged) {
  struct Sum {
    double probability = 0;
    int64_t samples = 0;
  };
  std::map<int32_t, Sum> of_class;
  for (const JudgedSample& one : judged) {
    if (!std::isfinite(one.in_label)) continue;
    Sum& sum = of_class[one.label];
    sum.probability += one.in_label;
    ++sum.samples;
  }
  return ranked(
      judged,
      [&](const JudgedSample& one) {
        if (one.predicted == one.label) return false;
        const auto found = of_class.find(one.predicted);
        if (found == of_class.end()) return false;  // no sample has that label: nothing to go by
        const Sum& sum = found->second;
        return one.certainty >= sum.probability / static_cast<double>(sum.samples);
      },
      [](const JudgedSample& one) { return one.certainty - one.in_label; });
}

std::vector<LabelIssue> label_issues(const JudgedLogits& judged, const Reading& reading) {
  constexpr double kRounding = 1e-6;  // cleanlab's
  const auto classes = static_cast<size_t>(judged.classes);
  std::vector<std::vector<double>> all;
  std::vector<double> thresholds(classes);
  std::vector<int64_t> samples(classes);
  for (int64_t i = 0; i < judged.samples(); ++i) {
    all.push_back(probabilities(judged.row(i), reading));
    const auto label = static_cast<size_t>(judged.labels[static_cast<size_t>(i)]);
    if (!std::isfinite(all.back()[label])) continue;
    thresholds[label] += all.back()[label];
    ++samples[label];
  }
  for (size_t c = 0; c < classes; ++c) thresholds[c] /= static_cast<double>(samples[c]);
  std::vector<LabelIssue> issues;
  for (size_t i = 0; i < all.size(); ++i) {
    const std::vector<double>& p = all[i];
    const auto label = static_cast<size_t>(judged.labels[i]);
    if (!std::all_of(p.begin(), p.end(), [](double v) { return std::isfinite(v); })) continue;
    const auto predicted = static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    size_t confident = 0, rather = predicted;
    for (size_t c = 0; c < classes; ++c)
      if (samples[c] > 0 && p[c] >= thresholds[c] - kRounding && confident++ == 0) rather = c;
    if (confident > 1) rather = predicted;
    if (confident == 0 || rather == label || predicted == label) continue;
    issues.push_back({static_cast<int64_t>(i) * judged.every, static_cast<int32_t>(label),
                      static_cast<int32_t>(rather), p[label] - p[predicted]});
  }
  std::stable_sort(issues.begin(), issues.end(),
                   [](const LabelIssue& a, const LabelIssue& b) { return a.margin < b.margin; });
  return issues;
}

std::vector<Noteworthy> noteworthy_answers(const std::vector<JudgedSample>& judged, int64_t most,
                                           const std::vector<int64_t>* wrong_labels) {
  std::vector<Noteworthy> kinds = {
      {"Worst mistakes", "Wrong answers whose true class was thought least likely.",
       ranked(
           judged, [](const JudgedSample& one) { return one.predicted != one.label; },
           [](const JudgedSample& one) { return -one.in_label; })},
      {"Most certain", "Right answers of the highest probability.",
       ranked(
           judged, [](const JudgedSample& one) { return one.predicted == one.label; },
           [](const JudgedSample& one) { return one.certainty; })},
      {"Labels that may be wrong",
       "Called another class with at least the probability that images of that class have in the "
       "mean. Look at them: the network may be wrong, or the label.",
       wrong_labels ? *wrong_labels : likely_wrong_labels(judged)}};
  std::vector<Noteworthy> found;
  for (Noteworthy& kind : kinds) {
    if (kind.samples.empty()) continue;
    if (std::ssize(kind.samples) > most) {
      kind.why +=
          " These are " + std::to_string(most) + " of " + std::to_string(kind.samples.size()) + ".";
      kind.samples.resize(static_cast<size_t>(most));
    }
    found.push_back(std::move(kind));
  }
  return found;
}

}  // namespace graft::train
