// The operators that onnxruntime's optimizer makes of several (com.microsoft), said as those again:
// graphs that were saved after optimization.
#pragma once
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models::graph {

// How many nodes were replaced. What is not known in one of these forms stays as it is.
int64_t expand_fused_operators(std::vector<io::onnx::Node>& nodes);

}  // namespace graft::models::graph
