// Trace: the list of recorded operations, the only graph form in graft. Plans compile it, ONNX
// export writes it.
#pragma once
#include <any>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft {

// A plan that was traced with some number of samples (entries of axis 0) asks an operation how it
// runs with any number of them.
struct ReplaySite {
  const std::any& attributes;
  std::span<const int> ranks{};        // of the traced inputs; 0 for an absent one
  const std::vector<bool>& constants;  // inputs that are the same for every image
  int64_t samples;                     // of the trace

  template <class Attributes>
  const Attributes& as() const {
    return std::any_cast<const Attributes&>(attributes);
  }
};

// The answer: a function of the inputs, or why there is none.
struct Replay {
  std::function<Tensor(const std::vector<Tensor>& inputs)> run;  // empty: not possible
  std::string why_not{};

  static Replay refused(std::string why) { return {{}, std::move(why)}; }
  static Replay mixes_samples() { return refused("it mixes samples"); }
};
using MakeReplay = Replay (*)(const ReplaySite& site);

// One operation: its id (a constant such as ops::ConvAttributes::id), a copy of its attribute
// struct, its tensors.
struct TraceStep {
  std::string_view op;
  std::any attributes;
  std::vector<Tensor> inputs{};  // undefined where an optional input was absent
  std::vector<Tensor> outputs{};
  MakeReplay replay{};

  template <class Attributes>
  const Attributes& as() const {
    return std::any_cast<const Attributes&>(attributes);
  }
};

struct Trace {
  std::vector<TraceStep> steps{};
  // A module ran whose results somebody watches (Module::on_forward): whoever replays the steps
  // would bypass the watcher.
  bool is_watched = false;
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
