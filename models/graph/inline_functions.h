// Model-local functions: each call is replaced by the function's nodes.
#pragma once
#include "graft/io/onnx/model.h"

namespace graft::models::graph {

// The graph's nodes with every call of one of the model's functions expanded, names made unique by
// the call's. bad_input for functions that call themselves or that expand to more than a million
// nodes.
std::vector<io::onnx::Node> inline_functions(const io::onnx::Model& model);

}  // namespace graft::models::graph
