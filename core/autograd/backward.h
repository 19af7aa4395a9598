// backward(): walks the tape from a loss to its leaves and adds to their gradients.
#pragma once
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// loss: one element, unless `grad` (same shape) gives the gradient to start from. Gradients are
// added to those the leaves have. The graph is consumed: a second backward over it throws
// Error(bad_input).
GRAFT_API void backward(const Tensor& loss, const Tensor& grad = {});

// Told of a leaf as soon as its gradient is complete: every operation that has the leaf among its
// inputs is done with it. It may take the gradient away and overwrite the leaf (an optimizer does
// both, while the gradient is in the cache). What reads the leaf behind the tape's back (through
// detach()) would then throw as for any overwritten tensor.
using LeafHook = FunctionRef<void(GradMeta& leaf)>;
GRAFT_API void backward(const Tensor& loss, LeafHook on_complete);

}  // namespace graft
