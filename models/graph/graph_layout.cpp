#include "graft/models/graph/graph_layout.h"

#include <algorithm>

#include "graft/core/tensor/state_dict.h"
#include "graft/models/graph/graph_config.h"

namespace graft::models {
namespace {

using io::onnx::Node;

bool is_transpose(const Node& node, const std::vector<int64_t>& order) {
  const auto* perm = node.op_type == "Transpose" ? node.find("perm") : nullptr;
  return perm && perm->ints == order && node.inputs.size() == 1 && node.outputs.size() == 1;
}

bool has_channels_last(const GraphInput& input) {
  const auto is_image = [](int64_t channels) { return channels == 1 || channels == 3; };
  return input.has_shape && input.dims.size() == 4 && is_image(input.dims[3]) &&
         !is_image(input.dims[1]);
}

void turn_input(GraphSource& source) {
  GraphInput& input = source.inputs[0];
  input.dims = {input.dims[0], input.dims[3], input.dims[1], input.dims[2]};
  const std::string name = input.name;
  const auto reads = [&](const Node& node) {
    return std::count(node.inputs.begin(), node.inputs.end(), name);
  };
  int64_t readers = 0;
  for (const Node& node : source.nodes) readers += reads(node);
  const auto turn = std::find_if(source.nodes.begin(), source.nodes.end(), [&](const Node& node) {
    return reads(node) == 1 && is_transpose(node, {0, 3, 1, 2});
  });
  source.notes.push_back(
      str("the graph's input '", name, "' has its channels last; graft gives it images [N,C,H,W]"));
  if (turn != source.nodes.end() && readers == 1 && turn->outputs[0] != source.outputs[0]) {
    input.name = turn->outputs[0];
    source.nodes.erase(turn);
    return;
  }
  Node back;
  back.name = input.name = name + "_channels_first";
  back.op_type = "Transpose";
  back.inputs = {input.name};
  back.outputs = {name};
  io::onnx::Attribute perm;
  perm.name = "perm";
  perm.type = io::onnx::AttributeType::ints;
  perm.ints = {0, 2, 3, 1};
  back.attributes = {perm};
  source.nodes.insert(source.nodes.begin(), back);
}

}  // namespace

void take_channels_first(GraphSource& source) {
  if (source.inputs.size() != 1 || !has_channels_last(source.inputs[0])) return;
  turn_input(source);
  for (const Node& node : source.nodes) {
    if (node.outputs.empty() || node.outputs[0] != source.outputs[0] ||
        !is_transpose(node, {0, 2, 3, 1}))
      continue;
    source.notes.push_back(
        "the graph's output map has its channels last; graft takes it before it is turned");
    source = cut_graph(source, std::string(node.inputs[0]));
    return;
  }
}

}  // namespace graft::models
