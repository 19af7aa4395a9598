#include "graft/models/graph/graph_end.h"

#include <algorithm>

#include "graft/core/base/text.h"
#include "graft/models/graph/graph_config.h"
#include "graft/models/graph/op_call.h"

namespace graft::models {
namespace {

using io::onnx::Node;

bool passes_values(const Node& node) {
  for (const char* op : {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Clip", "Cast"})
    if (node.op_type == op) return true;
  return false;
}

Node* maker_of(GraphSource& source, const std::string& value) {
  for (Node& node : source.nodes)
    if (!node.outputs.empty() && node.outputs[0] == value) return &node;
  return nullptr;
}

}  // namespace

Activation drop_final_activation(GraphSource& source, bool& found) {
  found = false;
  Node* node = maker_of(source, source.outputs.at(0));
  while (node && passes_values(*node) && !node->inputs.empty())
    node = maker_of(source, node->inputs[0]);
  if (!node || node->inputs.empty() || !node->domain.empty()) return Activation::softmax;
  const std::string op = node->op_type;
  if (op != "Softmax" && op != "LogSoftmax" && op != "Sigmoid") return Activation::softmax;
  found = true;
  source.notes.push_back(str("the graph's final ", op, " is left out: graft applies its own"));
  if (node->outputs[0] == source.outputs[0]) {
    source = cut_graph(source, std::string(node->inputs[0]));
  } else {
    node->op_type = "Identity";
    node->attributes.clear();
  }
  return op == "Sigmoid" ? Activation::sigmoid : Activation::softmax;
}

void put_two_classes(GraphSource& source) {
  const std::string value = source.outputs.at(0), result = value + "/two_classes";
  GraphTensor sign;
  sign.name = result + "/factor";
  sign.shape = Shape{1, 2};
  sign.value = Tensor::of<float>({1, 2}, {0, 1});
  Node node;
  node.name = kTwoClasses;
  node.op_type = "Mul";
  node.inputs = {value, sign.name};
  node.outputs = {result};
  source.tensors.push_back(std::move(sign));
  source.nodes.push_back(std::move(node));
  source.outputs[0] = result;
  source.stage_ends.push_back(result);
}

}  // namespace graft::models
