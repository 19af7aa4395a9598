// ConvTranspose2d: weight [C,K/groups,R,S] and, when asked for, bias [K].
#pragma once
#include "graft/kernels/ops/conv.h"
#include "graft/layers/modules/module.h"

namespace graft {

struct ConvTranspose2dOptions {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t output_padding = 0;  // rows and columns that the result has more at its end
  int64_t dilation = 1;
  int64_t groups = 1;
  bool bias = false;
};

class GRAFT_API ConvTranspose2d final : public Module {
 public:
  // With the default values of default_values.h.
  explicit ConvTranspose2d(const ConvTranspose2dOptions& options);
  // [N,C,H,W] -> [N,K,P,Q]; P = stride * (H - 1) + dilation * (kernel - 1) + 1 + output_padding -
  // 2 * padding.
  Tensor forward(const Tensor& x) override;

  const ConvTranspose2dOptions& options() const { return options_; }
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }  // undefined without bias

 private:
  ConvTranspose2dOptions options_;
  ops::ConvAttributes attributes_;
  Tensor none_;
  const Tensor* weight_;
  const Tensor* bias_;
};

}  // namespace graft
