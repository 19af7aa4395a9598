// Pooling in 1 to 3 spatial axes.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/pool.h"

namespace graft::functional {

GRAFT_API Tensor max_pool(const Tensor& x, const ops::MaxPoolAttributes& attributes);
GRAFT_API Tensor average_pool(const Tensor& x, const ops::AveragePoolAttributes& attributes);
GRAFT_API Tensor adaptive_average_pool(const Tensor& x,
                                       const ops::AdaptiveAveragePoolAttributes& attributes);
GRAFT_API Tensor global_average_pool(const Tensor& x);  // [N,C,...] -> [N,C,1,...]

}  // namespace graft::functional
