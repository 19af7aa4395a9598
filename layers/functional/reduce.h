// Sums, means and extremes over axes.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/reduce.h"

namespace graft::functional {

// axes empty: all of them.
GRAFT_API Tensor reduce(const Tensor& x, const ops::ReduceAttributes& attributes);

}  // namespace graft::functional
