// Raising a graph's opset: the nodes of an older opset written as opset 17 has them.
#pragma once
#include <cstdint>
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models {

inline constexpr int64_t kWrittenOpset = 17;

// Rewrites nodes of ai.onnx opset 7 to 16: attributes that became inputs become initializers.
// False, and nothing is changed, when a node means something in the old opset that cannot be said
// in the new one by itself (Softmax over an axis that is not the last, before opset 13) or is not
// known here; then the graph is written in its own opset.
bool raise_opset(io::onnx::Graph& graph, int64_t opset);

}  // namespace graft::models
