// Trace: the list of recorded operations, the only graph form in graft. Plans compile it, ONNX
// export writes it.
#pragma once
#include <any>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft {

// One operation: its id (a constant such as ops::ConvAttributes::id), a copy of its attribute
// struct, its tensors.
struct TraceStep {
  std::string_view op;
  std::any attributes;
  std::vector<Tensor> inputs;  // undefined where an optional input was absent
  std::vector<Tensor> outputs;

  template <class Attributes>
  const Attributes& as() const {
    return std::any_cast<const Attributes&>(attributes);
  }
};

struct Trace {
  std::vector<TraceStep> steps;
  // Set: told of each step in place of keeping it, so that values live no longer than the network
  // needs them.
  std::function<void(const TraceStep& step)> listener;

  void add(TraceStep step) {
    if (listener)
      listener(step);
    else
      steps.push_back(std::move(step));
  }
};

// While it lives, everything this thread records goes into `trace` too.
class GRAFT_API ScopedTrace {
 public:
  explicit ScopedTrace(Trace& trace);
  ~ScopedTrace();
  ScopedTrace(const ScopedTrace&) = delete;
  ScopedTrace& operator=(const ScopedTrace&) = delete;

 private:
  Trace* previous_;
};

GRAFT_API Trace* current_trace();  // null: nobody traces on this thread

}  // namespace graft
