// Embedding: a table of vectors, weight [V,D], that integers look up.
#pragma once
#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API Embedding final : public Module {
 public:
  // Normal numbers of deviation 1 (default_values.h), as in PyTorch.
  Embedding(int64_t count, int64_t width);
  // Of vectors that are known, [V,D]; they train like others.
  explicit Embedding(const Tensor& vectors);
  // i32 or i64 of any shape -> one more axis, [...,D]. bad_input for an index outside of [-V, V);
  // negative ones count from the end.
  Tensor forward(const Tensor& indices) override;
  const Tensor& weight() const { return *weight_; }

 private:
  const Tensor* weight_;
};

}  // namespace graft
