// The window attributes that ONNX's convolutions and pools share.
#pragma once
#include "graft/kernels/ops/window.h"
#include "graft/models/graph/op_call.h"

namespace graft::models::graph {

// kernel, strides, dilations, and pads with auto_pad worked out for the input's extents. bad_input for 0 or more than 3
// spatial axes, or lists of another length.
ops::Window read_window(const OpCall& call, const Shape& x, const std::vector<int64_t>& kernel);

}  // namespace graft::models::graph
