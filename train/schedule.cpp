#include "graft/train/schedule.h"

#include <algorithm>
#include <cmath>
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
  if (o.name == "constant") return o.lr;
  const double rest = static_cast<double>(std::max<int64_t>(o.steps - o.warmup, 1));
  const double share = static_cast<double>(step - o.warmup) / rest;
  if (o.name == "step") return o.lr * std::pow(0.1, std::floor(std::min(share, 0.999) * 3));
  if (o.name == "cosine") return along_cosine(o.lr, 0, std::min(share, 1.0));
  bad_input("unknown schedule '", o.name, "': expected constant, step, cosine or onecycle");
}

}  // namespace graft::train
