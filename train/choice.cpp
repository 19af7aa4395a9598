#include "graft/train/choice.h"

#include <cmath>

namespace graft::train {
namespace {

constexpr double kStandardErrors = 2;

// Of `a` less `b`, sample by sample.
struct Difference {
  double mean = 0, chance = 0;  // what chance explains of the mean
};

Difference difference(const std::vector<float>& a, const std::vector<float>& b) {
  const auto n = static_cast<double>(a.size());
  Difference d;
  for (size_t i = 0; i < a.size(); ++i) d.mean += (double{a[i]} - double{b[i]}) / n;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double off = double{a[i]} - double{b[i]} - d.mean;
    squares += off * off;
  }
  d.chance = kStandardErrors * std::sqrt(squares / (n - 1) / n);
  return d;
}

bool are_finite(const Difference& d) { return std::isfinite(d.mean) && std::isfinite(d.chance); }

Standing by_means(const EpochWorth& later, const EpochWorth& earlier, bool higher_is_better) {
  const auto standing = [](bool better) { return better ? Standing::better : Standing::worse; };
  const bool is_score = std::isfinite(later.score);
  if (is_score != std::isfinite(earlier.score)) return standing(is_score);
  if (is_score && later.score != earlier.score)
    return standing((later.score > earlier.score) == higher_is_better);
  if (!std::isfinite(later.loss)) return standing(!std::isfinite(earlier.loss));
  return standing(!std::isfinite(earlier.loss) || later.loss <= earlier.loss);
}

bool are_paired(const SampleWorths& a, const SampleWorths& b) {
  const size_t n = a.scores.size();
  return n >= 2 && a.losses.size() == n && b.scores.size() == n && b.losses.size() == n;
}

}  // namespace

Standing compare(const EpochWorth& later, const EpochWorth& earlier, bool higher_is_better) {
  if (!are_paired(later.samples, earlier.samples))
    return by_means(later, earlier, higher_is_better);
  const Difference score = difference(later.samples.scores, earlier.samples.scores),
                   loss = difference(later.samples.losses, earlier.samples.losses);
  if (!are_finite(score) || !are_finite(loss)) return by_means(later, earlier, higher_is_better);
  if (std::abs(score.mean) > score.chance)
    return (score.mean > 0) == higher_is_better ? Standing::better : Standing::worse;
  if (loss.mean <= 0) return Standing::better;
  return loss.mean <= loss.chance ? Standing::level : Standing::worse;
}

}  // namespace graft::train
