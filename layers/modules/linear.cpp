#include "graft/layers/modules/linear.h"

#include "graft/layers/functional/linear.h"
#include "graft/layers/modules/default_values.h"

namespace graft {

Linear::Linear(int64_t in_features, int64_t out_features, bool bias) : bias_(&none_) {
  GRAFT_CHECK(in_features >= 1 && out_features >= 1, "Linear: ", in_features, " to ", out_features,
              " features");
  weight_ = &register_parameter("weight", Tensor::zeros({out_features, in_features}));
  if (bias) bias_ = &register_parameter("bias", Tensor::zeros({out_features}));
  give_default_values(*weight_, *bias_, in_features);
}

Tensor Linear::forward(const Tensor& x) { return functional::linear(x, *weight_, *bias_); }

}  // namespace graft
