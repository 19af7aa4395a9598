// trace_step(): how a function without a gradient (a comparison, an index, a conversion to
// integers) enters the Trace.
#pragma once
#include <initializer_list>

#include "graft/core/autograd/trace.h"

namespace graft::functional {

template <class Attributes>
Tensor trace_step(const Attributes& attributes, std::initializer_list<Tensor> inputs,
                  Tensor output) {
  if (Trace* trace = current_trace()) trace->add({Attributes::id, attributes, {inputs}, {output}});
  return output;
}

}  // namespace graft::functional
