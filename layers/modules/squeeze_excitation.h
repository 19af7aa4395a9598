// Squeeze and excitation (Hu et al. 2018): a gate for each channel, made of all channels' means.
#pragma once
#include <memory>

#include "graft/layers/modules/conv2d.h"

namespace graft {

struct SqueezeExcitationOptions {
  int64_t channels = 0, hidden = 0;
  bool silu = false;  // the activation between the layers; else a ReLU
  // Of the gate: 1 / (1 + exp(-x)), or MobileNetV3's straight lines max(0, min(1, x / 6 + 1 / 2)).
  bool hard_gate = false;
};

// x * gate(fc2(activation(fc1(mean of each plane)))), fc1 and fc2 being 1x1 convolutions.
class GRAFT_API SqueezeExcitation final : public Module {
 public:
  // bad_input for sizes below 1.
  explicit SqueezeExcitation(const SqueezeExcitationOptions& options);
  Tensor forward(const Tensor& x) override;  // [N,C,H,W]

 private:
  SqueezeExcitationOptions options_;
  std::shared_ptr<Conv2d> fc1_, fc2_;
};

}  // namespace graft
