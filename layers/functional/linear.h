// The product with a weight, plus a bias.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/linear.h"

namespace graft::functional {

// x [M,I], weight [O,I], bias [O] or undefined -> [M,O].
GRAFT_API Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace graft::functional
