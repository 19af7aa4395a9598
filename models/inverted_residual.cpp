#include "graft/models/inverted_residual.h"

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/modules/squeeze_excitation.h"

namespace graft::models {

ConvNormActivation::ConvNormActivation(Conv2dOptions options, double eps,
                                       BlockActivation activation)
    : activation_(activation) {
  options.padding = (options.kernel - 1) / 2;
  conv_ = register_module("0", std::make_shared<Conv2d>(options));
  norm_ = register_module(
      "1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{options.out_channels, eps}));
}

Tensor ConvNormActivation::forward_added(const Tensor& x, const Tensor& residual) {
  const Tensor y = norm_->normalise(*conv_, x, activation_ == BlockActivation::relu, residual);
  if (activation_ == BlockActivation::hard_swish)
    return functional::unary(y, ops::Unary::hard_swish);
  return activation_ == BlockActivation::silu ? functional::silu(y, 1) : y;
}

InvertedBlock::InvertedBlock(const InvertedBlockOptions& o)
    : adds_(o.stride == 1 && o.in == o.out) {
  block_ = register_module("block", std::make_shared<Sequential>());
  block_->mark_run_by_parts();
  if (o.hidden != o.in)
    block_->append(std::make_shared<ConvNormActivation>(Conv2dOptions{o.in, o.hidden, 1}, o.eps,
                                                        o.activation));
  block_->append(std::make_shared<ConvNormActivation>(
      Conv2dOptions{o.hidden, o.hidden, o.kernel, o.stride, 0, 1, o.hidden}, o.eps, o.activation));
  if (o.squeezed > 0)
    block_->append(std::make_shared<SqueezeExcitation>(
        SqueezeExcitationOptions{.channels = o.hidden,
                                 .hidden = o.squeezed,
                                 .silu = o.activation == BlockActivation::silu,
                                 .hard_gate = o.activation != BlockActivation::silu}));
  projection_ = std::make_shared<ConvNormActivation>(Conv2dOptions{o.hidden, o.out, 1}, o.eps,
                                                     BlockActivation::none);
  block_->append(projection_);
}

Tensor InvertedBlock::forward(const Tensor& x) {
  Tensor y = x;
  const auto& steps = block_->children();
  for (size_t i = 0; i + 1 < steps.size(); ++i) y = (*steps[i].second)(y);
  if (projection_->is_plain()) return projection_->forward_added(y, adds_ ? x : Tensor());
  y = (*projection_)(y);
  return adds_ ? functional::add(y, x) : y;
}

}  // namespace graft::models
