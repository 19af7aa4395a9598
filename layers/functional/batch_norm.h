// Batch norm, with the residual sum and the ReLU that often follow it.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/layers/functional/conv.h"

namespace graft::functional {

struct BatchNormOptions {
  bool training = false;  // normalise with this batch's statistics and update the running ones
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch; the batch
                          // variance is unbiased there
  double eps = 1e-5;
  bool relu = false;  // fused ReLU, after the residual
};
// x [N,C,...], all others [C]; weight and bias may be undefined; residual like x or undefined.
// Training with one value per channel is an error. `statistics` of x, where conv has taken them:
// for training, else not looked at.
GRAFT_API Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            Tensor running_mean, Tensor running_var,
                            const BatchNormOptions& options, const Tensor& residual = {},
                            const BatchStatistics& statistics = {});

}  // namespace graft::functional
