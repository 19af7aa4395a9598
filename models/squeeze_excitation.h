// Channel attention along one dimension, ECA (Wang et al. 2020), and how widths are rounded.
// Squeeze and excitation stands in layers/modules.
#pragma once
#include <memory>

#include "graft/layers/modules/module.h"

namespace graft::models {

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
