// BoxLoss: focal loss of the classes, generalised IoU of the boxes, and how well they fit.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft::train {

// Of every place of maps (box_maps.h):
// - focal loss of each class's logit, alpha 0.25, gamma 2. Source: Lin et al., Focal Loss for Dense
//   Object Detection (2017);
// and of the places that are to find a box:
// - 1 - GIoU of the box and the one said. Source: Rezatofighi et al., Generalized IoU (2019);
// - cross-entropy of the fit's logit and their IoU, which is taken as a number.
// All are summed; a sum over samples divided by the sum of places() is their mean.
class GRAFT_API BoxLoss {
 public:
  explicit BoxLoss(int64_t classes);
  void to(Device device);

  // outputs f32 [N,C+5,H,W] and assigned f32 [N,5,H,W] (assign_places), where the outputs are ->
  // the sums of each sample, [N].
  Tensor of_samples(const Tensor& outputs, const Tensor& assigned) const;
  // Of each sample: the places that are to find a box; at least 1. [N].
  Tensor places(const Tensor& assigned) const;
  Tensor mean(const Tensor& outputs, const Tensor& assigned) const;  // rank 0

 private:
  Tensor of_classes(const Tensor& logits, const Tensor& label) const;

  int64_t classes_;
  Tensor numbers_;  // f32 [1,C,1,1]: the class of each map
};

}  // namespace graft::train
