// Channel attention: squeeze and excitation (Hu et al. 2018) and its one-dimensional form, ECA
// (Wang et al. 2020).
#pragma once
#include <memory>

#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/module.h"

namespace graft::models {

struct SqueezeExcitationOptions {
  int64_t channels = 0, hidden = 0;
  bool silu = false;  // the activation between the layers; else a ReLU
  // Of the gate: 1 / (1 + exp(-x)), or MobileNetV3's straight lines max(0, min(1, x / 6 + 1 / 2)).
  bool hard_gate = false;
};

// x * gate(fc2(activation(fc1(mean of each plane)))), fc1 and fc2 being 1x1 convolutions.
class SqueezeExcitation final : public Module {
 public:
  explicit SqueezeExcitation(const SqueezeExcitationOptions& options);
  Tensor forward(const Tensor& x) override;

 private:
  SqueezeExcitationOptions options_;
  std::shared_ptr<Conv2d> fc1_, fc2_;
};

// A convolution over channels, x [N,1,C], of odd kernel and without bias.
class ChannelFilter final : public Module {
 public:
  explicit ChannelFilter(int64_t kernel);
  Tensor forward(const Tensor& x) override;
  const Tensor& weight() const { return *weight_; }  // [1,1,kernel]

 private:
  Tensor* weight_;
};

// x * sigmoid(conv(mean of each plane)), the convolution running over neighboring channels; its
// weight is conv.weight [1,1,kernel].
class EfficientChannelAttention final : public Module {
 public:
  explicit EfficientChannelAttention(int64_t channels);
  Tensor forward(const Tensor& x) override;

  // Odd, about the logarithm of the channels.
  static int64_t kernel_for(int64_t channels);

 private:
  std::shared_ptr<ChannelFilter> filter_;
};

// At least `divisor`, a multiple of it near `value`, and no less than nine tenths of `value`: how
// the authors of MobileNet round widths.
int64_t rounded_width(double value, int64_t divisor);

}  // namespace graft::models
