// How boxes are shown: average precision per class, an image's objects and their counts, and
// pictures.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/detection/average_precision.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Of a BoxEvaluation.
class GRAFT_API BoxPresentation final : public Presentation {
 public:
  BoxPresentation(const Task& task, std::vector<std::string> names, double confidence,
                  bool confidence_is_chosen);
  double confidence() const { return confidence_; }  // from which on a box is said
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;

  // f32 [N,100,6]: left, top, right, bottom in the input's pixels, class, score; the highest score
  // first, class -1 where there is no box. Of outputs that are not finite: NaN.
  Tensor readable(const Tensor& outputs) const override;
  bool has_places() const override { return true; }
  void place(std::span<float> row, const io::InputGeometry& geometry) const override;

  // Of the boxes at or above the confidence: class, score and edges.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<NamedValue> said(std::span<const float> row, int64_t most) const override;
  AnswerColumns answer_columns() const override;  // how many of each class, and where
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;
  // The photo with the boxes that are said drawn on it.
  bool has_pictures() const override { return true; }
  std::vector<Picture> pictures(const Maps& answer, const io::Image& photo) const override;

 private:
  std::vector<FoundBox> boxes_said(std::span<const float> row) const;
  std::vector<AnswerCell> cells_of(const std::vector<FoundBox>& boxes, bool has_scores) const;

  std::vector<std::string> names_, different_;  // different_: told apart
  double confidence_;
  bool confidence_is_chosen_;
};

}  // namespace graft::train
