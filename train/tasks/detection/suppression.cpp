#include "graft/train/tasks/detection/suppression.h"

#include <algorithm>
#include <numeric>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

// The products and sums are torchvision's, in its order: a bound that is met exactly decides alike.
float overlap_of(std::span<const float> boxes, int64_t a, int64_t b) {
  const float *first = boxes.data() + 4 * a, *second = boxes.data() + 4 * b;
  const float area_a = (first[2] - first[0]) * (first[3] - first[1]);
  const float area_b = (second[2] - second[0]) * (second[3] - second[1]);
  const float width = std::max(0.0f, std::min(first[2], second[2]) - std::max(first[0], second[0]));
  const float height =
      std::max(0.0f, std::min(first[3], second[3]) - std::max(first[1], second[1]));
  const float both = width * height;
  return both / (area_a + area_b - both);
}

}  // namespace

std::vector<int64_t> suppressed_by_class(std::span<const float> boxes,
                                         std::span<const float> scores,
                                         std::span<const int64_t> classes, double most) {
  GRAFT_CHECK(boxes.size() == 4 * scores.size() && classes.size() == scores.size(),
              "suppression: ", boxes.size(), " numbers of boxes, ", scores.size(), " scores and ",
              classes.size(), " classes");
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  std::vector<int64_t> kept;
  for (const int64_t box : order) {
    const bool is_hidden = std::any_of(kept.begin(), kept.end(), [&](int64_t other) {
      return classes[static_cast<size_t>(other)] == classes[static_cast<size_t>(box)] &&
             static_cast<double>(overlap_of(boxes, other, box)) > most;
    });
    if (!is_hidden) kept.push_back(box);
  }
  return kept;
}

std::vector<int64_t> suppressed(std::span<const float> boxes, std::span<const float> scores,
                                double most) {
  return suppressed_by_class(boxes, scores, std::vector<int64_t>(scores.size()), most);
}

}  // namespace graft::train
