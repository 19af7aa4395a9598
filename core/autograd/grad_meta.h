// What autograd hangs on a tensor: whether it needs a gradient, its gradient, and the Node that
// made it.
#pragma once
#include <memory>

#include "graft/core/tensor/tensor.h"

namespace graft {

class Node;

struct GRAFT_API GradMeta final : AutogradMeta {
  void follow(const Tensor& source, const Tensor& result, int64_t begin) const override;

  bool requires_grad = false;  // a leaf whose gradient is wanted
  Tensor grad;                 // leaves only; undefined until a backward reached it
  std::shared_ptr<Node> node;  // non-leaves: who made it
  int output = 0;              // which of the node's outputs it is
};

// The tensor's GradMeta, or null when it has none.
inline GradMeta* grad_meta(const Tensor& tensor) {
  return static_cast<GradMeta*>(tensor.autograd_meta().get());
}

// True for leaves with requires_grad and for results computed from them.
inline bool needs_grad(const Tensor& tensor) {
  if (!tensor.defined()) return false;
  const GradMeta* meta = grad_meta(tensor);
  return meta && (meta->requires_grad || meta->node);
}

// A leaf's switch and its gradient. bad_input for set on a non-leaf or a non-floating tensor.
GRAFT_API void set_requires_grad(const Tensor& tensor, bool requires_grad);
GRAFT_API bool requires_grad(const Tensor& tensor);
GRAFT_API Tensor grad_of(const Tensor& leaf);              // undefined when there is none
GRAFT_API void set_grad(const Tensor& leaf, Tensor grad);  // undefined clears

}  // namespace graft
