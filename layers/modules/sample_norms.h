// LayerNorm and GroupNorm: normalisations whose statistics are of the sample alone, so that
// training and eval are the same and nothing is kept but weight and bias.
#pragma once
#include "graft/layers/modules/module.h"

namespace graft {

// Over the last axes, whose shape weight and bias have: [C] of [...,C], [C,H,W] of [N,C,H,W].
class GRAFT_API LayerNorm final : public Module {
 public:
  explicit LayerNorm(const Shape& normalized, double eps = 1e-5);
  Tensor forward(const Tensor& x) override;
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }

 private:
  double eps_;
  const Tensor* weight_;
  const Tensor* bias_;
};

// Over groups of channels of [N,C,...]; weight and bias [C]. One group: all channels together.
class GRAFT_API GroupNorm final : public Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, double eps = 1e-5);
  Tensor forward(const Tensor& x) override;
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }

 private:
  int64_t groups_;
  double eps_;
  const Tensor* weight_;
  const Tensor* bias_;
};

}  // namespace graft
