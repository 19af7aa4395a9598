// What functions say to the Trace beyond record(): trace_step() for those without a gradient (a
// comparison, an index, a conversion to integers), and what their replays have in common.
#pragma once
#include <initializer_list>

#include "graft/core/autograd/trace.h"

namespace graft::functional {

template <class Attributes>
Tensor trace_step(const Attributes& attributes, MakeReplay replay,
                  std::initializer_list<Tensor> inputs, Tensor output) {
  if (Trace* trace = current_trace())
    trace->add({Attributes::id, attributes, {inputs}, {output}, replay});
  return output;
}

// For broadcasting functions: the samples of every operand that holds any are the first axis of the
// result, since all of these operands have the same rank.
inline bool samples_lie_alike(const ReplaySite& site) {
  int rank = 0;
  for (size_t i = 0; i < site.ranks.size(); ++i) {
    if (site.constants[i]) continue;
    if (rank != 0 && site.ranks[i] != rank) return false;
    rank = site.ranks[i];
  }
  return true;
}

}  // namespace graft::functional
