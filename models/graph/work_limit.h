// A bound on what one thread computes with a graph: for running what a file merely describes. Work
// is estimated from the shapes that a node meets, before it runs, and counted in multiply-adds of
// the fast kernels: one of a float32 convolution or matrix product is 1, of another type 8; an
// element that a node reads or writes, and an element in a pooling window, 16.
#pragma once
#include "graft/models/graph/op_call.h"

namespace graft::models::graph {

// While it lives, nodes that this thread would run beyond `operations` end in Error(bad_input)
// instead. The innermost one counts.
class ScopedWorkLimit {
 public:
  explicit ScopedWorkLimit(double operations);
  ~ScopedWorkLimit();
  ScopedWorkLimit(const ScopedWorkLimit&) = delete;
  ScopedWorkLimit& operator=(const ScopedWorkLimit&) = delete;

  bool was_reached() const { return was_reached_; }  // some node was refused

 private:
  friend void charge_work(double operations);
  double left_;
  bool was_reached_ = false;
  ScopedWorkLimit* outer_;
};

// Counts against this thread's innermost limit; bad_input beyond it. Nothing without one.
void charge_work(double operations);

// What a node takes: of its products and windows, and a pass over its inputs. Shapes that do not
// fit count as nothing: the operator refuses them itself.
double work_of(const OpCall& call);
// A pass over these.
double work_of_elements(std::span<const Tensor> tensors);

}  // namespace graft::models::graph
