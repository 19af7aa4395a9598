// A loss of the user's own: cross-entropy, and a penalty on answers that are too sure of themselves
// (Pereyra et al. 2017). Everything else of classification stays as it is.
#pragma once
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/train/tasks/classification/classification.h"

struct ConfidencePenalty final : graft::train::Classification {
  using Classification::Classification;
  graft::Tensor loss(const graft::Tensor& outputs,
                     const graft::train::Targets& targets) const override {
    using namespace graft::functional;
    const graft::Tensor log_p = log_softmax(outputs), p = softmax(outputs),
                        weight = graft::Tensor::full({1}, 0.1, outputs.options());
    const graft::Tensor sure = reduce(mul(p, log_p), {.function = graft::ops::Reduce::mean});
    return add(Classification::loss(outputs, targets).reshape({1}), mul(weight, sure.reshape({1})));
  }
};
