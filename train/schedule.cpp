#include "graft/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

double along_cosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

double one_cycle(const ScheduleOptions& o, double step) {
  const double low = o.lr / 25, end = low / 1e4, last = static_cast<double>(o.steps) - 1;
  const double peak = 0.3 * static_cast<double>(o.steps) - 1;
  if (step <= peak) return along_cosine(low, o.lr, peak > 0 ? step / peak : 1);
  return along_cosine(o.lr, end, last > peak ? std::min(1.0, (step - peak) / (last - peak)) : 1);
}

}  // namespace

double learning_rate(const ScheduleOptions& o, int64_t step) {
  GRAFT_CHECK(o.lr > 0 && std::isfinite(o.lr) && o.steps >= 1 && o.warmup >= 0, "schedule: rate ",
              o.lr, " over ", o.steps, " steps");
  if (o.name == "onecycle") return one_cycle(o, static_cast<double>(step));
  if (step < o.warmup) return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup);
  if (o.name == "constant" || o.name == "plateau") return o.lr;
  const double rest = static_cast<double>(std::max<int64_t>(o.steps - o.warmup, 1));
  const double share = static_cast<double>(step - o.warmup) / rest;
  if (o.name == "step") return o.lr * std::pow(0.1, std::floor(std::min(share, 0.999) * 3));
  if (o.name == "cosine") return along_cosine(o.lr, 0, std::min(share, 1.0));
  if (o.name == "polynomial") return o.lr * std::pow(1 - std::min(share, 1.0), 0.9);
  if (o.name == "exponential") return o.lr * std::pow(0.01, std::min(share, 1.0));
  bad_input("unknown schedule '", o.name, "': expected one of ", join(schedule_names()));
}

std::vector<std::string> schedule_names() {
  return {"cosine", "step", "onecycle", "constant", "polynomial", "exponential", "plateau"};
}

double plateau_factor(std::span<const double> losses) {
  constexpr double threshold = 1e-4, factor = 0.1;
  constexpr int patience = 2;
  double lowest = std::numeric_limits<double>::infinity(), product = 1;
  int in_a_row = 0;
  for (const double loss : losses) {
    const bool is_lower = loss < lowest * (1 - threshold);
    if (is_lower) lowest = loss;
    in_a_row = is_lower ? 0 : in_a_row + 1;
    if (in_a_row <= patience) continue;
    product *= factor;
    in_a_row = 0;
  }
  return product;
}

}  // namespace graft::train
