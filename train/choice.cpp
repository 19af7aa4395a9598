#include "graft/train/choice.h"

#include <cmath>
#include <utility>

namespace graft::train {
namespace {

constexpr double kStandardErrors = 2;

// Of `a` less `b`, sample by sample.
struct Difference {
  double mean = 0, chance = 0;  // what chance explains of the mean
  bool is_more() const { return mean > chance; }
  bool is_less() const { return -mean > chance; }
};

Difference difference(const std::vector<float>& a, const std::vector<float>& b, double sign = 1) {
  const auto n = static_cast<double>(a.size());
  Difference d;
  if (a.empty()) return d;
  for (size_t i = 0; i < a.size(); ++i) d.mean += sign * (double{a[i]} - double{b[i]}) / n;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double off = sign * (double{a[i]} - double{b[i]}) - d.mean;
    squares += off * off;
  }
  d.chance = kStandardErrors * std::sqrt(squares / (n - 1) / n);
  return d;
}

bool are_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}
bool are_known(const SampleWorths& samples) {
  return samples.losses.size() >= 2 && are_finite(samples.scores) && are_finite(samples.losses);
}
bool are_paired(const SampleWorths& a, const SampleWorths& b) {
  return are_known(a) && are_known(b) && a.losses.size() == b.losses.size() &&
         a.scores.size() == b.scores.size() &&
         (a.scores.empty() || a.scores.size() == a.losses.size());
}

bool is_better_by_means(const EpochWorth& later, const EpochWorth& earlier, bool higher_is_better) {
  const bool is_score = std::isfinite(later.score);
  if (is_score != std::isfinite(earlier.score)) return is_score;
  if (is_score && later.score != earlier.score)
    return (later.score > earlier.score) == higher_is_better;
  if (!std::isfinite(later.loss)) return !std::isfinite(earlier.loss);
  return !std::isfinite(earlier.loss) || later.loss <= earlier.loss;
}

}  // namespace

EpochChoice::EpochChoice(EpochWorth highest, EpochWorth lowest, bool higher_is_better)
    : highest_(std::move(highest)),
      lowest_(std::move(lowest)),
      higher_is_better_(higher_is_better) {}

bool EpochChoice::hear_means(const EpochWorth& later) {
  if (highest_.epoch > 0 && !is_better_by_means(later, highest_, higher_is_better_)) return false;
  highest_ = lowest_ = later;
  return true;
}

bool EpochChoice::hear(const EpochWorth& later) {
  if (highest_.epoch == 0 || !are_paired(later.samples, highest_.samples) ||
      !are_paired(later.samples, lowest_.samples))
    return hear_means(later);
  const double sign = higher_is_better_ ? 1 : -1;
  const auto score_beside = [&](const EpochWorth& other) {
    return difference(later.samples.scores, other.samples.scores, sign);
  };
  const Difference to_highest = score_beside(highest_), to_lowest = score_beside(lowest_),
                   loss = difference(later.samples.losses, lowest_.samples.losses);
  const bool is_kept = !to_highest.is_less() && (to_lowest.is_more() || !loss.is_more());
  if (sign * (later.score - highest_.score) > 0) highest_ = later;
  if (is_kept && (to_lowest.is_more() || loss.mean < 0)) lowest_ = later;
  return is_kept;
}

}  // namespace graft::train
