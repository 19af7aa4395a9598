// SavedModels as the ONNX graphs that they stand for: the one way into a GraphModule.
#pragma once
#include "graft/core/base/export.h"
#include "graft/io/onnx/model.h"
#include "graft/io/saved_model/model.h"

namespace graft::models {

// The signature's computation with its function calls written out and its variables as tensors of
// their own names; images come channels first. bad_input in one sentence naming every operator that
// graft does not know, and for what mixes the images of a batch.
GRAFT_API io::onnx::Model onnx_graph(const io::saved_model::Model& model);

}  // namespace graft::models
