// Losses against labels at every position of an image or a sequence, with the semantics of ONNX's
// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. functional::cross_entropy is the fused one
// that training uses.
#pragma once
#include <optional>

#include "graft/core/tensor/tensor.h"

namespace graft::functional {

enum class LossReduction : unsigned char { none, mean, sum };

struct LabelLossOptions {
  Tensor class_weights{};                         // [C] or undefined
  std::optional<int64_t> ignore_index{};          // labels of this value count nothing
  LossReduction reduction = LossReduction::mean;  // mean: over the weights of what counts
};
// log_probabilities [N,C,...], labels i32 or i64 [N,...] in [0,C) -> [N,...], or rank 0.
GRAFT_API Tensor negative_log_likelihood(const Tensor& log_probabilities, const Tensor& labels,
                                         const LabelLossOptions& options = {});

}  // namespace graft::functional
