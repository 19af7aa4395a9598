#include "graft/layers/modules/sample_norms.h"

#include <algorithm>

#include "graft/layers/functional/normalization.h"

namespace graft {

LayerNorm::LayerNorm(const Shape& normalized, double eps) : eps_(eps) {
  GRAFT_CHECK(normalized.rank() >= 1 && normalized.numel() >= 1 && eps >= 0, "LayerNorm: shape ",
              normalized, ", eps ", eps);
  weight_ = &register_parameter("weight", Tensor::full(normalized, 1));
  bias_ = &register_parameter("bias", Tensor::zeros(normalized));
}

Tensor LayerNorm::forward(const Tensor& x) {
  const Shape& shape = weight_->shape();
  const bool fits = x.rank() >= shape.rank() &&
                    std::equal(shape.begin(), shape.end(), x.shape().end() - shape.rank());
  GRAFT_CHECK(fits, "LayerNorm: input ", x.shape(), " does not end in ", shape);
  return functional::layer_norm(x, *weight_, *bias_, -shape.rank(), eps_);
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps) : groups_(groups), eps_(eps) {
  GRAFT_CHECK(groups >= 1 && channels >= 1 && channels % groups == 0 && eps >= 0,
              "GroupNorm: ", groups, " groups of ", channels, " channels, eps ", eps);
  weight_ = &register_parameter("weight", Tensor::full({channels}, 1));
  bias_ = &register_parameter("bias", Tensor::zeros({channels}));
}

Tensor GroupNorm::forward(const Tensor& x) {
  return functional::group_norm(x, groups_, *weight_, *bias_, eps_);
}

}  // namespace graft
