// PixelLoss: the losses of maps of pixels: cross-entropy, Dice, focal, and cross-entropy with Dice.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

// Of K classes; two have one map of logits, that of class 1, more have a map each. Everything is a
// mean over the samples, each one's over its own pixels that count:
// - "ce": cross-entropy of a pixel, times its class's weight (of one map: binary);
// - "focal": the same times (1 - p)^2, p the probability of what is true. Source: Lin et al., Focal
//   Loss for Dense Object Detection (2017), gamma 2;
// - "dice": 1 - (2 sum p t + 1) / (sum p + sum t + 1), of class 1 or the mean over the classes.
//   Source: Milletari et al., V-Net (2016), with sums for squares and 1 so that an empty class has
//   a value;
// - "ce+dice": both.
class GRAFT_API PixelLoss {
 public:
  // weights: of each class, for cross-entropy and focal; empty: 1. bad_input for another name.
  PixelLoss(std::string name, int64_t classes, std::vector<double> weights);
  void to(Device device);

  // outputs floating [N,1 or K,H,W], masks u8 [N,H,W] of classes and io::kIgnoredPixel, where the
  // outputs are -> [N]. A sample without a pixel that counts: 0.
  Tensor of_samples(const Tensor& outputs, const Tensor& masks) const;
  Tensor mean(const Tensor& outputs, const Tensor& masks) const;  // rank 0

 private:
  Tensor of_pixels(const Tensor& outputs, const Tensor& there) const;                   // [N,1,H,W]
  Tensor dice(const Tensor& outputs, const Tensor& there, const Tensor& counts) const;  // [N]

  std::string name_;
  int64_t maps_;
  Tensor numbers_;  // f32 [1,maps,1,1]: the class of each map
  Tensor weights_;  // f32 [1,maps,1,1], of one map what class 1 weighs more than class 0; or none
  double weight_of_zero_ = 1;  // of one map
};

}  // namespace graft::train
