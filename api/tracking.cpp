#include "graft/api/tracking.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/train/tasks/detection/box_presentation.h"

namespace graft {
namespace {

constexpr int64_t kNumbersOfABox = 6;

const train::BoxPresentation& boxes_shown_by(const Predictor& predictor) {
  const auto* shown = dynamic_cast<const train::BoxPresentation*>(&predictor.presentation());
  GRAFT_CHECK(shown, "boxes are those of a model that finds objects; this one's task is ",
              predictor.task());
  return *shown;
}

}  // namespace

std::vector<train::SeenBox> seen_boxes(const Predictor& predictor, const Answer& answer) {
  boxes_shown_by(predictor);
  GRAFT_CHECK(answer.error().empty(), answer.error());
  const Tensor& values = answer.values();
  GRAFT_CHECK(values.defined() && values.rank() == 2 && values.size(1) == kNumbersOfABox,
              "an answer that is not this model's");
  GRAFT_CHECK(answer.is_finite(), "the boxes found are not finite numbers");
  std::vector<train::SeenBox> boxes;
  const float* row = values.data<float>();
  for (int64_t i = 0; i < values.size(0); ++i, row += kNumbersOfABox) {
    const auto number = [&](int64_t k) { return static_cast<double>(row[k]); };
    if (number(4) < 0) continue;  // no more
    boxes.push_back({{number(0), number(1), number(2), number(3)},
                     std::clamp(number(5), 0.0, 1.0),
                     static_cast<int64_t>(number(4))});
  }
  return boxes;
}

train::TrackerOptions tracker_options(double confidence, train::TrackerKind kind) {
  train::TrackerOptions options = train::TrackerOptions::of(kind);
  options.sure = confidence;
  options.unsure = std::min(0.1, confidence / 2);
  options.more_to_begin = std::min(0.1, (1 - confidence) / 4);
  return options;
}

double box_confidence(const Predictor& predictor) { return boxes_shown_by(predictor).confidence(); }

train::TrackerOptions tracker_options(const Predictor& predictor, train::TrackerKind kind) {
  return tracker_options(box_confidence(predictor), kind);
}

const std::vector<std::string>& kind_names(const Predictor& predictor) {
  boxes_shown_by(predictor);
  return predictor.labels();
}

}  // namespace graft
