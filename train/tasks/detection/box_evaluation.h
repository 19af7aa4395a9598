// BoxEvaluation: what the boxes found in images are worth: average precision, the confidence from
// which on they are said, and by how many the counts of an image are off.
#pragma once
#include <optional>
#include <vector>

#include "graft/train/tasks/detection/average_precision.h"
#include "graft/train/tasks/detection/box_loss.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

// The objects of a sample, in the input's pixels, as a row of targets f32 [boxes,7]: left, top,
// right, bottom; class, -1: no object; 1 difficult, 2 crowd; COCO's area, 0: the box's.
inline constexpr int64_t kObjectNumbers = 7;
GRAFT_API std::vector<io::LabelledBox> objects_in(std::span<const float> row);

class GRAFT_API BoxEvaluation final : public Metric {
 public:
  // Counts are of boxes at or above `confidence`.
  BoxEvaluation(int64_t classes, double confidence);
  // Outputs f32 [N,C+5,H,W]; places f32 [N,5,H,W] and objects f32 [N,boxes,7].
  void add(const Tensor& outputs, const Targets& targets) override;

  int64_t classes() const { return classes_; }
  int64_t samples() const override { return std::ssize(images_); }
  int64_t not_finite() const override { return not_finite_; }
  double loss() const override;  // NaN without samples
  // map50, loss, map, map75, voc07_map50, recall100, count_error; then each class's AP at 0.5.
  std::vector<double> scores() const override;
  double score() const override { return summary().voc50; }
  double score_so_far() const override;  // NaN: it takes all images together

  const PrecisionSummary& summary() const;
  const std::vector<JudgedImage>& images() const { return images_; }
  int64_t objects(int64_t label) const;  // that count
  // The mean over the images of by how many the boxes said of a class differ from its objects.
  double count_error(int64_t label) const;
  double count_error() const;  // their sum over the classes

 private:
  int64_t classes_;
  double confidence_;
  BoxLoss loss_;
  std::vector<JudgedImage> images_;
  double loss_sum_ = 0, places_ = 0;
  int64_t not_finite_ = 0;
  mutable std::optional<PrecisionSummary> summary_;  // of images_, once asked for
};

}  // namespace graft::train
