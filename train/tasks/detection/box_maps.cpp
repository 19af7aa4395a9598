#include "graft/train/tasks/detection/box_maps.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/train/tasks/detection/suppression.h"

namespace graft::train {
namespace {

constexpr double kReach = 1.5 * static_cast<double>(kPlaceStride);

double middle_of(int64_t place) {
  return (static_cast<double>(place) + 0.5) * static_cast<double>(kPlaceStride);
}

bool is_for(const io::Box& box, double x, double y) {
  return x > box.left && x < box.right && y > box.top && y < box.bottom &&
         std::abs(x - (box.left + box.right) / 2) < kReach &&
         std::abs(y - (box.top + box.bottom) / 2) < kReach;
}

float probability_of(float logit) { return 1 / (1 + std::exp(-logit)); }

}  // namespace

void assign_places(std::span<const io::LabelledBox> boxes, int64_t rows, int64_t columns,
                   float* out) {
  const int64_t places = rows * columns;
  std::fill_n(out, places, -1.0f);
  std::fill_n(out + places, 4 * places, 1.0f);
  for (int64_t place = 0; place < places; ++place) {
    const double x = middle_of(place % columns), y = middle_of(place / columns);
    const io::LabelledBox* smallest = nullptr;
    for (const io::LabelledBox& own : boxes)
      if (!own.crowd && is_for(own.box, x, y) &&
          (!smallest || own.box.area() < smallest->box.area()))
        smallest = &own;
    if (!smallest) continue;
    const io::Box& box = smallest->box;
    out[place] = static_cast<float>(smallest->label);
    const double edges[4] = {x - box.left, y - box.top, box.right - x, box.bottom - y};
    for (int64_t k = 0; k < 4; ++k)
      out[(k + 1) * places + place] =
          static_cast<float>(edges[k] / static_cast<double>(kPlaceStride));
  }
}

std::vector<FoundBox> found_boxes(std::span<const float> maps, int64_t classes, int64_t rows,
                                  int64_t columns, const FindOptions& options) {
  const int64_t places = rows * columns;
  GRAFT_CHECK(classes >= 1 && std::ssize(maps) == (classes + kBoxMaps) * places, "boxes in ",
              maps.size(), " numbers, of ", classes, " classes at ", rows, "x", columns, " places");
  const auto at = [&](int64_t map, int64_t place) {
    return maps[static_cast<size_t>(map * places + place)];
  };
  const auto width = static_cast<float>(columns * kPlaceStride),
             height = static_cast<float>(rows * kPlaceStride);
  std::vector<float> boxes, scores;
  std::vector<int64_t> labels;
  for (int64_t place = 0; place < places; ++place) {
    int64_t label = 0;
    for (int64_t c = 1; c < classes; ++c)
      if (at(c, place) > at(label, place)) label = c;
    const float score =
        std::sqrt(probability_of(at(label, place)) * probability_of(at(classes + 4, place)));
    if (!(static_cast<double>(score) > options.least_score)) continue;  // NaN too
    float away[4];
    for (int64_t k = 0; k < 4; ++k)
      away[k] = std::exp(std::clamp(at(classes + k, place), static_cast<float>(kLeastLog),
                                    static_cast<float>(kMostLog))) *
                static_cast<float>(kPlaceStride);
    const auto x = static_cast<float>(middle_of(place % columns)),
               y = static_cast<float>(middle_of(place / columns));
    const float box[4] = {
        std::clamp(x - away[0], 0.0f, width), std::clamp(y - away[1], 0.0f, height),
        std::clamp(x + away[2], 0.0f, width), std::clamp(y + away[3], 0.0f, height)};
    if (!(box[2] > box[0] && box[3] > box[1])) continue;
    boxes.insert(boxes.end(), box, box + 4);
    scores.push_back(score);
    labels.push_back(label);
  }
  std::vector<int64_t> kept = suppressed_by_class(boxes, scores, labels, options.most_overlap);
  if (std::ssize(kept) > options.most) kept.resize(static_cast<size_t>(options.most));
  std::vector<FoundBox> found;
  for (const int64_t k : kept) {
    const auto i = static_cast<size_t>(k);
    const float* b = boxes.data() + 4 * i;
    const auto edge = [&](int n) { return static_cast<double>(b[n]); };
    found.push_back(
        {{edge(0), edge(1), edge(2), edge(3)}, labels[i], static_cast<double>(scores[i])});
  }
  return found;
}

}  // namespace graft::train
