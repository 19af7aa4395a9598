// backward(): walks the tape from a loss to its leaves and adds to their gradients.
#pragma once
#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// loss: one element, unless `grad` (same shape) gives the gradient to start from. Gradients are added to those the
// leaves have. The graph is consumed: a second backward over it throws Error(bad_input).
GRAFT_API void backward(const Tensor& loss, const Tensor& grad = {});

}  // namespace graft
