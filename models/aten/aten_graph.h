// PyTorch's exported programs as the ONNX graphs that they stand for: the one way into a
// GraphModule.
#pragma once
#include <string>

#include "graft/core/base/export.h"
#include "graft/io/onnx/model.h"
#include "graft/io/torch_export/program.h"

namespace graft::models {

// Opset 21 and graft's names: tensors keep those of the state dict, nodes are named after the
// modules whose code they came from. bad_input in one sentence naming every ATen operator that
// graft does not know, and for programs whose in-place operators cannot be followed.
GRAFT_API io::onnx::Model onnx_graph(const io::ExportedProgram& program);

}  // namespace graft::models
