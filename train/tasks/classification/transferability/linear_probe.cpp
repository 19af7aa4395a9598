#include "graft/train/tasks/classification/transferability/linear_probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/stop.h"
#include "graft/train/tasks/classification/transferability/logistic_regression.h"

namespace graft::train {
namespace {

struct FoldScale {
  std::vector<double> mean, deviation;
};

// Features that do not change keep the deviation 1.
FoldScale scale_of(const ClassedFeatures& f) {
  const auto count = static_cast<size_t>(f.count);
  const auto samples = static_cast<double>(f.samples);
  FoldScale scale{std::vector<double>(count), std::vector<double>(count)};
  for (size_t i = 0; i < f.values.size(); ++i) scale.mean[i % count] += f.values[i];
  for (double& mean : scale.mean) mean /= samples;
  for (size_t i = 0; i < f.values.size(); ++i) {
    const double off = f.values[i] - scale.mean[i % count];
    scale.deviation[i % count] += off * off;
  }
  for (size_t d = 0; d < count; ++d) {
    double& deviation = scale.deviation[d];
    deviation = std::sqrt(deviation / samples);
    if (!(deviation > 1e-12 * std::abs(scale.mean[d])) || !(deviation > 0)) deviation = 1;
  }
  return scale;
}

void standardise(ClassedFeatures& f, const FoldScale& scale) {
  const auto count = static_cast<size_t>(f.count);
  for (size_t i = 0; i < f.values.size(); ++i)
    f.values[i] = (f.values[i] - scale.mean[i % count]) / scale.deviation[i % count];
}

// Which of the fold's samples are right: 0 or 1 in their places of `is_right`.
void judge_fold(const ClassedFeatures& features, const std::vector<int64_t>& fold_of, int64_t fold,
                const LogisticOptions& options, std::vector<uint8_t>& is_right) {
  std::vector<int64_t> others, own;
  for (int64_t i = 0; i < features.samples; ++i)
    (fold_of[static_cast<size_t>(i)] == fold ? own : others).push_back(i);
  ClassedFeatures learned = features.of(others), judged = features.of(own);
  const FoldScale scale = scale_of(learned);
  standardise(learned, scale);
  standardise(judged, scale);
  const std::vector<double> answers = log_probabilities(fit_logistic(learned, options), judged);
  for (size_t i = 0; i < own.size(); ++i) {
    const auto row = answers.begin() + static_cast<int64_t>(i) * features.classes;
    is_right[static_cast<size_t>(own[i])] =
        std::max_element(row, row + features.classes) - row == judged.labels[i];
  }
}

ProbeScore score_of(std::vector<uint8_t> is_right, const std::vector<int64_t>& fold_of,
                    int64_t folds, double strength) {
  std::vector<int64_t> right(static_cast<size_t>(folds)), all(static_cast<size_t>(folds));
  for (size_t i = 0; i < is_right.size(); ++i) {
    right[static_cast<size_t>(fold_of[i])] += is_right[i];
    ++all[static_cast<size_t>(fold_of[i])];
  }
  const int64_t sum = std::accumulate(right.begin(), right.end(), int64_t{0});
  ProbeScore score{static_cast<double>(sum) / static_cast<double>(is_right.size()),
                   wilson_interval(sum, std::ssize(is_right)),
                   {},
                   strength,
                   std::move(is_right)};
  for (size_t fold = 0; fold < right.size(); ++fold)
    score.of_folds.push_back(static_cast<double>(right[fold]) / static_cast<double>(all[fold]));
  return score;
}

}  // namespace

std::vector<int64_t> stratified_folds(const std::vector<int64_t>& labels, int64_t classes,
                                      int64_t folds) {
  GRAFT_CHECK(folds >= 2 && folds <= std::ssize(labels), "folds: ", folds, " of ", labels.size(),
              " samples");
  std::vector<int64_t> before(static_cast<size_t>(classes) + 1), fold_of(labels.size());
  for (const int64_t label : labels) {
    GRAFT_CHECK(label >= 0 && label < classes, "folds: class ", label, " of ", classes);
    ++before[static_cast<size_t>(label) + 1];
  }
  std::partial_sum(before.begin(), before.end(), before.begin());
  for (size_t i = 0; i < labels.size(); ++i)
    fold_of[i] = before[static_cast<size_t>(labels[i])]++ % folds;
  return fold_of;
}

std::vector<double> probe_strengths(int64_t features) {
  std::vector<double> strengths = {1e-3, 3e-2};
  const double prior = 10 / static_cast<double>(features);
  if (prior > strengths.back()) strengths.push_back(prior);
  return strengths;
}

ProbeScore probe(const ClassedFeatures& features, const ProbeOptions& options) {
  features.check();
  GRAFT_CHECK(options.folds >= 2, "linear probe: ", options.folds, " folds, at least 2 are needed");
  const std::vector<int64_t> sizes = features.sizes();
  // What is learned from must have two classes, whichever fold is left out.
  GRAFT_CHECK(features.samples >= 4 && std::count_if(sizes.begin(), sizes.end(),
                                                     [](int64_t size) { return size >= 2; }) >= 2,
              "linear probe: ", features.samples,
              " samples are too few: at least two classes need two samples or more");
  const int64_t folds = std::min(options.folds, features.samples);
  const std::vector<int64_t> fold_of = stratified_folds(features.labels, features.classes, folds);
  const std::vector<double> strengths =
      options.strengths.empty() ? probe_strengths(features.count) : options.strengths;
  const auto tried = std::ssize(strengths);
  std::vector<std::vector<uint8_t>> is_right(
      strengths.size(), std::vector<uint8_t>(static_cast<size_t>(features.samples)));
  const std::atomic<bool>* stop = current_stop();
  current_context().parallel_for(tried * folds, [&](int64_t job) {
    const ScopedStop scope(stop);
    const auto which = static_cast<size_t>(job / folds);
    judge_fold(features, fold_of, job % folds,
               {strengths[which], options.tolerance, options.most_iterations}, is_right[which]);
  });
  ProbeScore best;
  for (size_t which = 0; which < is_right.size(); ++which) {
    ProbeScore score = score_of(std::move(is_right[which]), fold_of, folds, strengths[which]);
    if (which == 0 || score.share > best.share) best = std::move(score);
  }
  return best;
}

}  // namespace graft::train
