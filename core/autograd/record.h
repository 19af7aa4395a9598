// record(): the one hook in which every differentiable function ends. It attaches a Node when an
// input needs a gradient (so a frozen prefix saves nothing), and feeds the Trace.
#pragma once
#include <initializer_list>
#include <memory>
#include <span>

#include "graft/core/autograd/node.h"
#include "graft/core/autograd/trace.h"

namespace graft {

// This thread's switch: false inside NoGradGuard.
GRAFT_API bool grad_enabled();

class GRAFT_API NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

// True when a call with these inputs will be recorded on the tape: functions ask before they keep
// what only backward needs (a mask, a batch's statistics).
GRAFT_API bool will_record(std::span<const Tensor> inputs);
inline bool will_record(std::initializer_list<Tensor> inputs) {
  return will_record(std::span(inputs.begin(), inputs.size()));
}

// `attributes` has a static member `id` (std::string_view). `replay` says how a plan runs the
// operation again, or why it cannot; it stands beside the operation's Node. `make_node` returns a
// std::shared_ptr<Node>; it is called only when a gradient is needed. Inputs keep their order in
// Node::backward's result.
template <class Attributes, class MakeNode>
void record(const Attributes& attributes, MakeReplay replay, std::span<const Tensor> inputs,
            std::span<const Tensor> outputs, MakeNode&& make_node) {
  if (Trace* trace = current_trace())
    trace->add({Attributes::id,
                attributes,
                {inputs.begin(), inputs.end()},
                {outputs.begin(), outputs.end()},
                replay});
  if (will_record(inputs)) attach_node(make_node(), inputs, outputs);
}

// The common case: one output, returned.
template <class Attributes, class MakeNode>
Tensor record(const Attributes& attributes, MakeReplay replay, std::initializer_list<Tensor> inputs,
              Tensor output, MakeNode&& make_node) {
  record(attributes, replay, std::span<const Tensor>(inputs.begin(), inputs.size()),
         std::span<const Tensor>(&output, 1), std::forward<MakeNode>(make_node));
  return output;
}

}  // namespace graft
