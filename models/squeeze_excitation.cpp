#include "graft/models/squeeze_excitation.h"

#include <algorithm>
#include <cmath>

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/default_values.h"

namespace graft::models {

ChannelFilter::ChannelFilter(int64_t kernel)
    : weight_(&register_parameter("weight", Tensor::zeros({1, 1, kernel}))) {
  give_default_values(*weight_, Tensor(), kernel);
}

Tensor ChannelFilter::forward(const Tensor& x) {
  ops::ConvAttributes attributes;
  attributes.window.pad_begin[0] = attributes.window.pad_end[0] = weight_->size(2) / 2;
  return functional::conv(x, *weight_, Tensor(), attributes);
}

int64_t EfficientChannelAttention::kernel_for(int64_t channels) {
  const auto size = static_cast<int64_t>((std::log2(static_cast<double>(channels)) + 1) / 2);
  return std::max<int64_t>(size % 2 == 1 ? size : size + 1, 3);
}

EfficientChannelAttention::EfficientChannelAttention(int64_t channels)
    : filter_(register_module("conv", std::make_shared<ChannelFilter>(kernel_for(channels)))) {}

Tensor EfficientChannelAttention::forward(const Tensor& x) {
  const int64_t N = x.size(0), C = x.size(1);
  const Tensor means = functional::reshape(functional::global_average_pool(x), {N, 1, C});
  return functional::mul(x,
                         functional::reshape(functional::sigmoid((*filter_)(means)), {N, C, 1, 1}));
}

int64_t rounded_width(double value, int64_t divisor) {
  const auto d = static_cast<double>(divisor);
  const int64_t near = std::max(divisor, static_cast<int64_t>(value + d / 2) / divisor * divisor);
  return static_cast<double>(near) < 0.9 * value ? near + divisor : near;
}

}  // namespace graft::models
