#include "graft/models/onnx_export.h"

#include "graft/core/autograd/record.h"
#include "graft/models/graph/graph_export.h"
#include "graft/models/graph/opset_raise.h"
#include "graft/models/onnx_nodes.h"

namespace graft::models {
namespace {

io::onnx::ValueInfo tensor_info(const std::string& name, const Shape& shape) {
  io::onnx::ValueInfo info;
  info.name = name;
  info.type = io::onnx::ElementType::float32;
  info.has_shape = true;
  info.dims.push_back({-1, "N"});
  for (int axis = 1; axis < shape.rank(); ++axis) info.dims.push_back({shape[axis], ""});
  return info;
}

// The lowest version of the file format that knows an opset (onnx's table of versions).
int64_t ir_version_for(int64_t opset) {
  return opset <= 18   ? 8
         : opset <= 20 ? 9
         : opset <= 22 ? 10
         : opset == 23 ? 11
         : opset == 24 ? 12
         : opset <= 27 ? 13
                       : 14;
}

void trace_network(StagedNetwork& network, const ModelCard& card, io::onnx::Model& model) {
  model.opsets = {{"", kWrittenOpset}};
  network.train(false);
  const Tensor image = card.preprocess.zeros(1);
  Trace trace;
  Tensor result;
  {
    const NoGradGuard no_grad;
    const ScopedTrace scope(trace);
    result = network.forward(image);
  }
  OnnxNodes nodes(model.graph);
  nodes.name(image, "input", false);
  for (const auto& [name, tensor] : network.state_dict())
    if (is_floating(tensor.dtype())) nodes.name(tensor, name, true);
  for (const TraceStep& step : trace.steps) nodes.add(step);
  const std::string output = classes_of(card.architecture) > 0 ? "logits" : "features",
                    computed = nodes.name_of(result);
  for (io::onnx::Node& node : model.graph.nodes) {
    for (std::string& value : node.outputs)
      if (value == computed) value = output;
    for (std::string& value : node.inputs)
      if (value == computed) value = output;
  }
  model.graph.inputs = {tensor_info("input", image.shape())};
  model.graph.outputs = {tensor_info(output, result.shape())};
}

}  // namespace

io::onnx::Model to_onnx(StagedNetwork& network, const ModelCard& card) {
  io::onnx::Model model;
  model.producer_name = "graft";
  model.producer_version = GRAFT_VERSION;
  model.metadata = {{kCardKey, card.to_json()}};
  model.graph.name = name_of(card.architecture);
  if (auto* graph = dynamic_cast<GraphModule*>(&network))
    export_graph(*graph, card, model);
  else
    trace_network(network, card, model);
  for (const io::onnx::OperatorSet& set : model.opsets)
    if (set.domain.empty()) model.ir_version = ir_version_for(set.version);
  return model;
}

}  // namespace graft::models
