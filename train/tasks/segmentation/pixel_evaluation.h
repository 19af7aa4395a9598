// PixelEvaluation: what maps of classes are worth. Overlap per class, over all pixels together and
// as the mean of the images, and where there are two classes the threshold that makes it best.
#pragma once
#include <map>
#include <vector>

#include "graft/train/tasks/segmentation/pixel_loss.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

// Of a class: pixels that are it and were said to be, that were not, and that were without being.
struct GRAFT_API Overlap {
  int64_t right = 0, missed = 0, wrong = 0;

  double iou() const;   // right / (right + missed + wrong); 1 where the class is neither there nor
  double dice() const;  // said: 2 right / (2 right + missed + wrong)
  bool is_empty() const { return right + missed + wrong == 0; }
};

// Pixels that count for nothing are not counted anywhere.
class GRAFT_API PixelEvaluation final : public Metric {
 public:
  // Of two classes the second is said from `threshold` of its probability on.
  PixelEvaluation(int64_t classes, double threshold, PixelLoss loss);
  // Outputs f32 [N,1 or K,H,W]; masks u8 [N,H,W], and where samples are parts of images i64 [N]:
  // of which.
  void add(const Tensor& outputs, const Targets& targets) override;

  int64_t classes() const { return classes_; }
  int64_t samples() const override { return static_cast<int64_t>(losses_.size()); }
  int64_t not_finite() const override { return not_finite_; }
  double loss() const override;  // NaN without samples
  // dice, loss, miou, pixel_accuracy, dice_per_image, miou_per_image; of two classes iou and auc;
  // then the IoU of each class.
  std::vector<double> scores() const override;
  double score() const override { return dice(); }
  SampleWorths per_sample() const override { return {{}, losses_}; }  // dice is no mean of samples

  Overlap overlap(int64_t c) const;  // of all pixels together
  std::vector<Overlap> overlaps() const;
  int64_t images() const { return static_cast<int64_t>(images_.size()); }  // samples() may be parts
  int64_t pixels() const;                                                  // that count
  int64_t confusion(int64_t truth, int64_t said) const;
  // Of two classes that of the second, else the mean over the classes that are there or were said.
  double dice() const;
  double iou() const;  // likewise
  double mean_iou() const;
  double pixel_accuracy() const;  // 0 without pixels
  // Means over the images of each one's dice() and mean_iou().
  double dice_per_image() const;
  double mean_iou_per_image() const;
  // Of two classes: how often a pixel of the second has a higher logit than one of the first, equal
  // ones half. Logits are counted in 65,536 steps, so that it is off by at most auc_bound().
  double auc() const;  // 0.5 where a class is not there
  double auc_bound() const;
  // Of two classes: the probability from which on the second is said so that its Dice over all
  // pixels is highest, of equals the one nearest to 0.5; 0.5 where it is not there.
  double best_threshold() const;
  double dice_at(double threshold) const;

 private:
  // The pixels of one sample, whose maps lie map_step numbers apart, its pixels pixel_step.
  struct Sample {
    const float* logits;
    int64_t map_step, pixel_step;
    const uint8_t* mask;
    int64_t pixels;
  };
  void add_sample(const Sample& sample, std::vector<Overlap>& of_image);

  int64_t classes_;
  double threshold_;
  PixelLoss loss_;
  std::vector<int64_t> confusion_;             // [truth][said]
  std::vector<int64_t> of_first_, of_second_;  // pixels by step of the logit
  std::vector<float> losses_;
  std::map<int64_t, std::vector<Overlap>> images_;  // by number, of each class
  int64_t not_finite_ = 0;
};

}  // namespace graft::train
