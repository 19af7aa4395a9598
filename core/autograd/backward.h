// backward(): walks the tape from a loss to its leaves and adds to their gradients.
#pragma once
#include <memory>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// loss: one element, unless `grad` (same shape) gives the gradient to start from. Gradients are
// added to those the leaves have. The graph is consumed: a second backward over it throws
// Error(bad_input).
GRAFT_API void backward(const Tensor& loss, const Tensor& grad = {});

// backward() leaf by leaf, for an optimizer that takes each gradient while it is in the cache.
// The graph is consumed as far as the pass has come.
class GRAFT_API BackwardPass {
 public:
  explicit BackwardPass(const Tensor& loss);
  ~BackwardPass();
  // Goes on until the gradient of another leaf is complete, and returns that leaf: every operation
  // that has it among its inputs is done with it. Null at the end. The caller may take the gradient
  // away and overwrite the leaf. What reads the leaf behind the tape's back (through detach())
  // would then throw as for any overwritten tensor.
  GradMeta* next_leaf();

 private:
  std::unique_ptr<class BackwardWalk> walk_;
};

}  // namespace graft
