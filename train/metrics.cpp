#include "graft/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/tensor/device_backend.h"

namespace graft::train {

int64_t rows_not_finite(const Tensor& given) {
  const Tensor rows = to_device(given, {});
  if (rows.numel() == 0) return 0;
  const int64_t count = rows.size(0), width = rows.numel() / count;
  int64_t found = 0;
  visit_floating(rows.dtype(), "answers", [&](auto zero) {
    const auto* x = rows.data<decltype(zero)>();
    for (int64_t n = 0; n < count; ++n, x += width)
      found += std::any_of(x, x + width, [](auto v) { return !std::isfinite(convert<double>(v)); });
  });
  return found;
}

double EpochMetrics::val_score(const std::string& name) const {
  for (const Score& score : val)
    if (score.name == name) return score.value;
  return std::numeric_limits<double>::quiet_NaN();
}

std::string EpochMetrics::to_json() const {
  nlohmann::ordered_json j = {{"epoch", epoch}, {"loss", loss}};
  j["train_" + train.name] = train.value;
  for (const Score& score : val)
    if (std::isfinite(score.value)) j["val_" + score.name] = score.value;
  j["lr"] = lr;
  j["images_per_s"] = images_per_s;
  j["seconds"] = seconds;
  if (!phase.empty()) j["phase"] = phase;
  return j.dump();
}

}  // namespace graft::train
