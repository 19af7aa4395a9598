// Linear: weight [O,I], bias [O].
#pragma once
#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API Linear final : public Module {
 public:
  // With the default values of default_values.h.
  Linear(int64_t in_features, int64_t out_features, bool bias = true);
  Tensor forward(const Tensor& x) override;  // [M,I] -> [M,O]
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }  // undefined without bias

 private:
  Tensor none_;
  const Tensor* weight_;
  const Tensor* bias_;
};

}  // namespace graft
