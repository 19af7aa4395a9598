// The blocks of MobileNetV3 and EfficientNet: inverted residuals with squeeze and excitation, under
// torchvision's names.
#pragma once
#include <memory>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/sequential.h"

namespace graft::models {

enum class BlockActivation : unsigned char { none, relu, hard_swish, silu };

// Convolution "0" padded by half its kernel, batch norm "1", activation.
class ConvNormActivation final : public Module {
 public:
  ConvNormActivation(Conv2dOptions options, double eps, BlockActivation activation);
  Tensor forward(const Tensor& x) override { return forward_added(x, {}); }
  // The residual, where it is defined, is added before the activation.
  Tensor forward_added(const Tensor& x, const Tensor& residual);

 private:
  BlockActivation activation_;
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
};

struct InvertedBlockOptions {
  int64_t in = 0, hidden = 0, out = 0, kernel = 3, stride = 1;
  int64_t squeezed = 0;  // channels between excitation's two layers; 0: none
  BlockActivation activation = BlockActivation::relu;
  double eps = 1e-5;
};

// "block": 1x1 expansion (none where the width stays), depthwise, squeeze and excitation, 1x1
// projection without an activation; the input added where it fits.
class InvertedBlock final : public Module {
 public:
  explicit InvertedBlock(const InvertedBlockOptions& options);
  Tensor forward(const Tensor& x) override;

 private:
  bool adds_;
  std::shared_ptr<Sequential> block_;
  std::shared_ptr<ConvNormActivation> projection_;  // its last
};

}  // namespace graft::models
