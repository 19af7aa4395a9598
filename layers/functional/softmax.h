// Softmax and its logarithm.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/softmax.h"

namespace graft::functional {

GRAFT_API Tensor softmax(const Tensor& x, int axis = 1);
GRAFT_API Tensor log_softmax(const Tensor& x, int axis = 1);

}  // namespace graft::functional
