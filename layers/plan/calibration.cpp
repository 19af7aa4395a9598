#include "graft/layers/plan/calibration.h"

#include <algorithm>

#include "graft/core/runtime/exec_context.h"

namespace graft {

void RangeObserver::add(int value, const Tensor& t) {
  const int64_t images = t.size(0), each = images > 0 ? t.numel() / images : 0;
  if (each == 0) return;
  std::vector<std::pair<float, float>> found(static_cast<size_t>(images));
  const float* x = t.data<float>();
  current_context().parallel_for(images, [&](int64_t n) {
    float low = x[n * each], high = low;
    for (int64_t i = n * each; i < (n + 1) * each; ++i)
      low = x[i] < low ? x[i] : low, high = x[i] > high ? x[i] : high;
    found[static_cast<size_t>(n)] = {low, high};
  });
  Sums& sums = sums_[value];
  for (const auto& [low, high] : found) sums.low += low, sums.high += high;
  sums.images += images;
}

Calibration RangeObserver::calibration() const {
  Calibration result;
  for (const auto& [value, sums] : sums_) {
    const auto images = static_cast<double>(sums.images);
    result.ranges.push_back(
        {value, static_cast<float>(sums.low / images), static_cast<float>(sums.high / images)});
    result.images =
        result.images == 0
            ? sums.images
            : std::min(result.images,
                       sums.images);  // where segments of a plan meet, a value is seen twice
  }
  return result;
}

}  // namespace graft
