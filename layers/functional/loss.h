// Losses: a number for outputs and targets.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/loss.h"

namespace graft::functional {

struct CrossEntropyOptions {
  double label_smoothing = 0;  // [0, 1)
  ops::Reduction reduction = ops::Reduction::mean;
  Tensor class_weights{};  // [C] or undefined
};
// logits [N,C]; target i64 [N] with labels in [0,C), or probabilities [N,C] -> rank 0. The target
// has no gradient.
GRAFT_API Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                               const CrossEntropyOptions& options = {});
// x and target of one shape -> rank 0. The target has no gradient.
GRAFT_API Tensor mean_squared_error(const Tensor& x, const Tensor& target,
                                    ops::Reduction reduction = ops::Reduction::mean);
GRAFT_API Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                                  ops::Reduction reduction = ops::Reduction::mean);

}  // namespace graft::functional
