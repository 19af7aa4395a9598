// How maps of classes are shown: overlap per class, shares of an image's pixels, and pictures.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Of a PixelEvaluation.
class GRAFT_API MapPresentation final : public Presentation {
 public:
  MapPresentation(const Task& task, std::vector<std::string> names, double threshold,
                  bool threshold_is_chosen);
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;

  // Probabilities, of one map those of the second class: f32 [N,maps,H,W], contiguous.
  Tensor readable(const Tensor& outputs) const override;
  // Which share of the pixels each class has, the largest first.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;
  // At the photo's own size: the classes as a palette PNG (kIgnoredPixel where the network saw
  // nothing of it), the probability of what is said, and the photo under the classes' colors.
  bool has_pictures() const override { return true; }
  std::vector<Picture> pictures(const Maps& maps, const io::Image& photo) const override;

 private:
  std::vector<double> shares(std::span<const float> row) const;  // of an answer, by class

  std::vector<std::string> names_, different_;  // different_: told apart
  double threshold_;
  bool threshold_is_chosen_;
};

}  // namespace graft::train
