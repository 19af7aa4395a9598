// Export: a network as an ONNX model for the tools that people deploy with.
#pragma once
#include "graft/io/onnx/model.h"
#include "graft/models/model_file.h"

namespace graft::models {

// The card travels in metadata_props as "graft.card".
// A native network leaves in opset 17: it is traced in eval mode on one image of the card's size
// [N,C,H,W] (N stays open); batch norms stay nodes of their own, so that the file can train again;
// parameters keep their paths as names. The input is "input", the output "logits" ("features"
// without a head). bad_input naming the operation for what ONNX has no node for. An imported graph
// leaves as the nodes that it is (graph/graph_export.h).
GRAFT_API io::onnx::Model to_onnx(StagedNetwork& network, const ModelCard& card);

// Names of tensors in such a file that are not the network's: shapes and bounds that nodes take as
// inputs.
inline constexpr const char* kOnnxConstantPrefix = "graft.constant.";

}  // namespace graft::models
