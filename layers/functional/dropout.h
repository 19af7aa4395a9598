// Dropout.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/dropout.h"

namespace graft::functional {

// The stream (seed, epoch, step) decides the mask. training false or probability 0: x itself.
GRAFT_API Tensor dropout(const Tensor& x, const ops::DropoutAttributes& attributes, bool training);

}  // namespace graft::functional
