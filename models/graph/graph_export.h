// Export of an imported graph: its nodes as they came, with the network's present values, and
// graft's own end behind them.
#pragma once
#include "graft/io/onnx/model.h"
#include "graft/models/card.h"
#include "graft/models/graph/graph_module.h"

namespace graft::models {

// Fills in opsets and graph of the model, from a network whose card has a GraphConfig; the caller
// adds what every export has. Names of inputs, outputs and tensors are the source's. The opset is
// the source's too, or 17 where it was older and its nodes can be said in 17.
void export_graph(GraphModule& network, const ModelCard& card, io::onnx::Model& model);

}  // namespace graft::models
