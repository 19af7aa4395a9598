// SavedModels: the index of a checkpoint, or the graph's protobuf read and translated into ONNX's
// operators, with variables of four numbers.
#include "graft/io/saved_model/bundle.h"
#include "graft/io/saved_model/model.h"
#include "graft/models/tensorflow/saved_model_graph.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(saved_model, 1024, 128 << 20, [](graft::fuzz::Bytes bytes) {
  try {
    graft::io::saved_model::parse_bundle_index(bytes);
    return;
  } catch (const graft::Error& error) {
    if (error.code() == graft::ErrorCode::internal) throw;
  }
  graft::io::saved_model::Model model =
      graft::io::saved_model::parse_model(bytes, "saved_model.pb");
  for (const auto& node : model.nodes)
    if (node.op == "VarHandleOp" && !model.variables.contains(node.name))
      model.variables.add(node.name, graft::Tensor::zeros({4}));
  graft::models::onnx_graph(model);
})
