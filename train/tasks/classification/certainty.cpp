#include "graft/train/tasks/classification/certainty.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/text.h"

namespace graft::train {
namespace {

constexpr double kWideInterval = 0.1;

std::string two_digits(double share) {
  const auto hundredths = static_cast<int64_t>(std::llround(share * 100));
  return str(hundredths / 100, ".", hundredths / 10 % 10, hundredths % 10);
}

}  // namespace

Interval wilson_interval(int64_t correct, int64_t samples) {
  if (samples <= 0) return {};
  constexpr double z = 1.959963984540054;  // 97.5 % of the normal distribution lie below
  const auto n = static_cast<double>(samples);
  const double p = static_cast<double>(correct) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::string how_sure(int64_t correct, int64_t samples) {
  const Interval interval = wilson_interval(correct, samples);
  if (samples <= 0 || interval.high - interval.low <= kWideInterval) return "";
  return str(
      samples, " validation images say little: an accuracy of ",
      two_digits(static_cast<double>(correct) / static_cast<double>(samples)), " on them means ",
      two_digits(interval.low), " to ", two_digits(interval.high),
      " (95 %, before the epoch was chosen by it); --folds 5, or several runs with other --seed, "
      "which hold out other images, say more");
}

}  // namespace graft::train
