#include "graft/train/tasks/multilabel/label_evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/tensor/device_backend.h"
#include "graft/train/metrics.h"

namespace graft::train {
namespace {

double share_of(int64_t part, int64_t all) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

}  // namespace

double probability_of(double logit) { return 1 / (1 + std::exp(-logit)); }

double LabelCounts::precision() const { return share_of(right, right + wrong); }
double LabelCounts::recall() const { return share_of(right, right + missed); }
double LabelCounts::f1() const { return share_of(2 * right, 2 * right + wrong + missed); }

LabelEvaluation::LabelEvaluation(std::vector<double> thresholds)
    : thresholds_(std::move(thresholds)), said_(thresholds_.size()) {
  GRAFT_CHECK(!thresholds_.empty(), "an evaluation of no labels");
}

void LabelEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const Tensor logits = to_device(outputs, {});
  const Tensor& there = targets.one();
  GRAFT_CHECK(logits.rank() == 2 && logits.size(1) == labels() && there.shape() == logits.shape(),
              "evaluation: answers ", logits.shape(), " and targets ", there.shape(), " for ",
              labels(), " labels");
  const std::vector<double> x = logits.to_doubles(), t = there.to_doubles();
  for (size_t i = 0; i < x.size(); ++i) {
    const bool is_there = t[i] > 0.5;
    said_[i % said_.size()].push_back({probability_of(x[i]), is_there});
    // log(1 + exp(-x)) or log(1 + exp(x)), which do not overflow in this form
    const double loss =
        std::max(x[i], 0.0) - (is_there ? x[i] : 0) + std::log1p(std::exp(-std::abs(x[i])));
    loss_sum_ += loss;
    if (i % said_.size() == 0) losses_.push_back(0);
    losses_.back() += static_cast<float>(loss / static_cast<double>(labels()));
  }
  samples_ += logits.size(0);
  not_finite_ += rows_not_finite(logits);
}

double LabelEvaluation::loss() const {
  if (samples_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return loss_sum_ / static_cast<double>(samples_ * labels());
}

size_t LabelEvaluation::place(int64_t label) const {
  GRAFT_CHECK(label >= 0 && label < labels(), "label ", label, " of ", labels());
  return static_cast<size_t>(label);
}

int64_t LabelEvaluation::positives(int64_t label) const {
  const std::vector<Said>& all = said_[place(label)];
  return std::count_if(all.begin(), all.end(), [](const Said& s) { return s.is_there; });
}

std::vector<LabelEvaluation::Said> LabelEvaluation::sorted(int64_t label) const {
  std::vector<Said> all = said_[place(label)];
  for (Said& s : all)
    if (std::isnan(s.probability)) s.probability = -1;  // it has no place in an order
  std::stable_sort(all.begin(), all.end(),
                   [](const Said& a, const Said& b) { return a.probability > b.probability; });
  return all;
}

double LabelEvaluation::average_precision(int64_t label) const {
  const std::vector<Said> all = sorted(label);
  const int64_t positive = positives(label);
  double sum = 0;
  int64_t found = 0, found_before = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    found += all[i].is_there;
    if (i + 1 < all.size() && all[i + 1].probability == all[i].probability) continue;
    sum += static_cast<double>(found - found_before) * share_of(found, static_cast<int64_t>(i) + 1);
    found_before = found;
  }
  return positive > 0 ? sum / static_cast<double>(positive) : 0;
}

double LabelEvaluation::mean_average_precision() const {
  double sum = 0;
  int64_t known = 0;
  for (int64_t label = 0; label < labels(); ++label) {
    if (positives(label) == 0) continue;
    sum += average_precision(label);
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 0;
}

LabelCounts LabelEvaluation::counts(int64_t label, double threshold) const {
  LabelCounts counts;
  for (const Said& s : said_[place(label)]) {
    const bool is_said = s.probability >= threshold;
    counts.right += is_said && s.is_there;
    counts.wrong += is_said && !s.is_there;
    counts.missed += !is_said && s.is_there;
  }
  return counts;
}

double LabelEvaluation::macro_f1(const std::vector<double>& thresholds) const {
  double sum = 0;
  int64_t known = 0;
  for (int64_t label = 0; label < labels(); ++label) {
    if (positives(label) == 0) continue;
    sum += counts(label, thresholds.at(place(label))).f1();
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 0;
}

double LabelEvaluation::micro_f1(const std::vector<double>& thresholds) const {
  LabelCounts all;
  for (int64_t label = 0; label < labels(); ++label) {
    const LabelCounts one = counts(label, thresholds.at(place(label)));
    all.right += one.right;
    all.wrong += one.wrong;
    all.missed += one.missed;
  }
  return all.f1();
}

std::vector<double> LabelEvaluation::best_thresholds() const {
  std::vector<double> thresholds;
  for (int64_t label = 0; label < labels(); ++label) {
    const std::vector<Said> all = sorted(label);
    const int64_t positive = positives(label);
    double best = 0, threshold = kEvenThreshold;
    int64_t found = 0;
    for (size_t i = 0; i < all.size() && all[i].probability >= 0; ++i) {
      found += all[i].is_there;
      const bool is_last = i + 1 == all.size() || all[i + 1].probability < 0;
      if (!is_last && all[i + 1].probability == all[i].probability) continue;
      const double f1 = share_of(2 * found, static_cast<int64_t>(i) + 1 + positive);
      if (f1 <= best) continue;
      best = f1;
      threshold = is_last ? all[i].probability : (all[i].probability + all[i + 1].probability) / 2;
    }
    thresholds.push_back(threshold);
  }
  return thresholds;
}

// The first or the last threshold, from the likeliest answer down, whose counts are such.
double LabelEvaluation::threshold_where(
    int64_t label, double otherwise, bool takes_last,
    const std::function<bool(const LabelCounts&)>& holds) const {
  if (positives(label) == 0) return kEvenThreshold;
  const std::vector<Said> all = sorted(label);
  LabelCounts counts{.missed = positives(label)};
  double found = otherwise;
  for (size_t i = 0; i < all.size() && all[i].probability >= 0; ++i) {
    ++(all[i].is_there ? counts.right : counts.wrong);
    counts.missed -= all[i].is_there;
    const bool is_last = i + 1 == all.size() || all[i + 1].probability < 0;
    if (!is_last && all[i + 1].probability == all[i].probability) continue;
    if (!holds(counts)) continue;
    found = is_last ? all[i].probability : (all[i].probability + all[i + 1].probability) / 2;
    if (!takes_last) break;
  }
  return found;
}

std::vector<double> LabelEvaluation::thresholds_of_precision(double least) const {
  std::vector<double> thresholds;
  for (int64_t label = 0; label < labels(); ++label)
    thresholds.push_back(threshold_where(label, 1, true, [least](const LabelCounts& counts) {
      return counts.precision() >= least;
    }));
  return thresholds;
}

std::vector<double> LabelEvaluation::thresholds_of_recall(double least) const {
  std::vector<double> thresholds;
  for (int64_t label = 0; label < labels(); ++label)
    thresholds.push_back(threshold_where(
        label, 0, false, [least](const LabelCounts& counts) { return counts.recall() >= least; }));
  return thresholds;
}

double LabelEvaluation::score_so_far() const { return std::numeric_limits<double>::quiet_NaN(); }

std::vector<double> LabelEvaluation::scores() const {
  return {mean_average_precision(), loss(), macro_f1(thresholds_), micro_f1(thresholds_)};
}

}  // namespace graft::train
