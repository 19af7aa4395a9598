#include "graft/models/graph/graph_unfold.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "graft/models/graph/classifier_search.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

bool had_norms(const GraphSource& source, const std::unordered_map<std::string, const GraphTensor*>& tensors) {
  bool residual = false, depthwise = false;
  for (const Node& node : source.nodes) {
    const std::string& op = node.op_type;
    if (op.find("Normalization") != std::string::npos || op == "LRN" || op == "ReduceMean" || op == "MatMul" || op == "Attention") return false;
    if ((op == "Add" || op == "Sum") && node.inputs.size() == 2) residual = residual || (!tensors.contains(node.inputs[0]) && !tensors.contains(node.inputs[1]));
    if (op != "Conv" || node.inputs.size() < 2) continue;
    const auto weight = tensors.find(node.inputs[1]);
    const Attribute* groups = node.find("group");
    depthwise = depthwise || (groups && groups->i > 1 && weight != tensors.end() && weight->second->shape.rank() == 4 && weight->second->shape[1] == 1);
  }
  return residual || depthwise;
}

Node norm_behind(Node& conv, const std::string& name, const std::string& bias, double eps) {
  Node norm;
  norm.op_type = "BatchNormalization";
  norm.name = name;
  const std::string output = conv.outputs[0];
  conv.outputs[0] = name + ".input";
  conv.inputs.resize(2);
  norm.inputs = {conv.outputs[0], name + ".weight", bias, name + ".running_mean", name + ".running_var"};
  norm.outputs = {output};
  norm.attributes = {{.name = "epsilon", .type = AttributeType::float_, .f = static_cast<float>(eps)}};
  return norm;
}

}  // namespace

std::vector<std::string> unfold_graph_norms(GraphSource& source, double eps) {
  std::unordered_map<std::string, const GraphTensor*> tensors;
  for (const GraphTensor& tensor : source.tensors) tensors[tensor.name] = &tensor;
  if (!had_norms(source, tensors)) return {};
  std::unordered_map<std::string, int> readers;
  for (const Node& node : source.nodes)
    for (const std::string& input : node.inputs) ++readers[input];
  const Node* classifier = find_classifier(source).classifier;
  std::vector<std::string> names;
  std::vector<Node> nodes;
  std::vector<GraphTensor> added;
  for (Node& node : source.nodes) {
    const bool conv = node.op_type == "Conv" && &node != classifier && node.inputs.size() == 3 && node.outputs.size() == 1;
    const auto bias = conv ? tensors.find(node.inputs[2]) : tensors.end(), weight = conv ? tensors.find(node.inputs[1]) : tensors.end();
    const bool folded = bias != tensors.end() && weight != tensors.end() && weight->second->shape.rank() == 4 && bias->second->dtype == DType::f32 &&
                        bias->second->shape.rank() == 1 && readers[node.inputs[2]] == 1;
    if (!folded) {
      nodes.push_back(std::move(node));
      continue;
    }
    const std::string name = (node.name.empty() ? node.outputs[0] : node.name) + "/norm", bias_name = node.inputs[2];
    const Shape shape = bias->second->shape;
    for (const auto& [part, role, value] : {std::tuple{".weight", TensorRole::parameter, 1.0}, {".running_mean", TensorRole::buffer, 0.0}, {".running_var", TensorRole::buffer, 1 - eps}})
      added.push_back({name + part, role, DType::f32, shape, Tensor::full(shape, value)});
    Node norm = norm_behind(node, name, bias_name, eps);
    nodes.push_back(std::move(node));
    nodes.push_back(std::move(norm));
    names.push_back(name);
  }
  source.nodes = std::move(nodes);
  source.tensors.insert(source.tensors.end(), added.begin(), added.end());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace graft::models
