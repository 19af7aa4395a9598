#include "graft/models/graph/graph_unfold.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>
#include <unordered_map>

#include "graft/models/graph/classifier_search.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

using Tensors = std::unordered_map<std::string, const GraphTensor*>;

// A convolution whose bias may be what is left of a norm.
struct Biased {
  const Node* conv;
  const GraphTensor *weight, *bias;
};

std::vector<Biased> biased_convolutions(const GraphSource& source, const Tensors& tensors) {
  std::unordered_map<std::string, int> readers;
  for (const Node& node : source.nodes)
    for (const std::string& input : node.inputs) ++readers[input];
  const Node* classifier = find_classifier(source).classifier;
  std::vector<Biased> found;
  for (const Node& node : source.nodes) {
    if (node.op_type != "Conv" || &node == classifier || node.inputs.size() != 3 ||
        node.outputs.size() != 1)
      continue;
    const auto weight = tensors.find(node.inputs[1]), bias = tensors.find(node.inputs[2]);
    if (weight == tensors.end() || bias == tensors.end() || weight->second->shape.rank() != 4 ||
        bias->second->dtype != DType::f32)
      continue;
    if (bias->second->shape.rank() == 1 && readers[node.inputs[2]] == 1)
      found.push_back({&node, weight->second, bias->second});
  }
  return found;
}

bool named_as_folded(const Biased& layer) {
  const std::string &weight = layer.weight->name, &bias = layer.bias->name;
  return (weight.starts_with("onnx::Conv_") && bias.starts_with("onnx::Conv_")) ||
         bias == weight + "_bias" || bias.find("fused_bn") != std::string::npos;
}

struct Surroundings {
  bool norm_behind_conv = false, batch_norms = false, other_norms = false, unbiased = false,
       residual = false, depthwise = false;
};

Surroundings look_around(const GraphSource& source, const Tensors& tensors) {
  Surroundings s;
  std::unordered_map<std::string, const Node*> makers;
  for (const Node& node : source.nodes) {
    const std::string& op = node.op_type;
    const auto computed = [&](size_t input) {
      return input < node.inputs.size() && !tensors.contains(node.inputs[input]);
    };
    if (op == "BatchNormalization") {
      const auto maker = makers.find(node.inputs.at(0));
      s.batch_norms = true;
      s.norm_behind_conv =
          s.norm_behind_conv || (maker != makers.end() && maker->second->op_type == "Conv");
    } else {
      // Sqrt stands in norms that were taken apart, a product of two computed values in attention.
      s.other_norms = s.other_norms || op.find("Normalization") != std::string::npos ||
                      op == "LRN" || op == "Sqrt" || op == "Attention" ||
                      (op == "MatMul" && computed(0) && computed(1));
    }
    if ((op == "Add" || op == "Sum") && node.inputs.size() == 2)
      s.residual = s.residual || (computed(0) && computed(1));
    if (op == "Conv") {
      const auto weight = tensors.find(node.inputs.at(1));
      const Attribute* groups = node.find("group");
      s.unbiased = s.unbiased || node.inputs.size() < 3;
      s.depthwise =
          s.depthwise || (groups && groups->i > 1 && weight != tensors.end() &&
                          weight->second->shape.rank() == 4 && weight->second->shape[1] == 1);
    }
    for (const std::string& output : node.outputs) makers[output] = &node;
  }
  return s;
}

double spread_of(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

// The deviation of the logarithm of the filters' norms: the median over the layers.
double spread_of_filters(const std::vector<Biased>& layers) {
  std::vector<double> spreads;
  for (const Biased& layer : layers) {
    const auto w = layer.weight->value.to_doubles();
    const auto filters = static_cast<size_t>(layer.weight->shape[0]), each = w.size() / filters;
    std::vector<double> sizes;
    for (size_t k = 0; k < filters; ++k) {
      double squares = 0;
      for (size_t i = 0; i < each; ++i) squares += w[k * each + i] * w[k * each + i];
      sizes.push_back(0.5 * std::log(squares + 1e-24));
    }
    spreads.push_back(spread_of(sizes));
  }
  std::sort(spreads.begin(), spreads.end());
  return spreads[spreads.size() / 2];
}

// Keeps those of `layers` that carry a folded norm, and says why.
std::string decide(std::vector<Biased>& layers, const Surroundings& around) {
  if (std::any_of(layers.begin(), layers.end(), named_as_folded)) {
    std::erase_if(layers, [](const Biased& layer) { return !named_as_folded(layer); });
    return "the exporter's names say so";
  }
  const auto none = [&](std::string why) { return layers.clear(), why; };
  if (around.norm_behind_conv) return none("batch norms stand behind other convolutions");
  if (around.other_norms) return none("the graph has norms of another kind");
  if (around.batch_norms)
    return around.unbiased ? "batch norms stand in the graph, but behind no convolution"
                           : none("batch norms stand in the graph beside them");
  if (around.residual || around.depthwise)
    return str("networks of ", around.residual ? "residual sums" : "depthwise convolutions",
               " are trained with norms, and the graph has none");
  const double spread = spread_of_filters(layers);
  char number[32];
  std::snprintf(number, sizeof number, "%.2f", spread);
  if (spread < kFoldedSpread)
    return none(
        str("the graph has no norms, and its filters are of similar size (spread ", number, ")"));
  return str("the graph has no norms, and its filters are of very different sizes (spread ", number,
             ")");
}

Node norm_behind(Node& conv, const std::string& name, const std::string& bias, double eps) {
  Node norm;
  norm.op_type = "BatchNormalization";
  norm.name = name;
  const std::string output = conv.outputs[0];
  conv.outputs[0] = name + ".input";
  conv.inputs.resize(2);
  norm.inputs = {conv.outputs[0], name + ".weight", bias, name + ".running_mean",
                 name + ".running_var"};
  norm.outputs = {output};
  norm.attributes = {
      {.name = "epsilon", .type = AttributeType::float_, .f = static_cast<float>(eps)}};
  return norm;
}

}  // namespace

Unfolded unfold_graph_norms(GraphSource& source, double eps) {
  Tensors tensors;
  for (const GraphTensor& tensor : source.tensors) tensors[tensor.name] = &tensor;
  std::vector<Biased> layers = biased_convolutions(source, tensors);
  Unfolded unfolded;
  if (layers.empty()) return unfolded;
  unfolded.reason = decide(layers, look_around(source, tensors));
  std::unordered_map<const Node*, const Biased*> folded;
  for (const Biased& layer : layers) folded[layer.conv] = &layer;
  std::vector<Node> nodes;
  std::vector<GraphTensor> added;
  for (Node& node : source.nodes) {
    const auto found = folded.find(&node);
    if (found == folded.end()) {
      nodes.push_back(std::move(node));
      continue;
    }
    const std::string name = (node.name.empty() ? node.outputs[0] : node.name) + "/norm",
                      bias = node.inputs[2];
    const Shape shape = found->second->bias->shape;
    for (const auto& [part, role, value] : {std::tuple{".weight", TensorRole::parameter, 1.0},
                                            {".running_mean", TensorRole::buffer, 0.0},
                                            {".running_var", TensorRole::buffer, 1 - eps}})
      added.push_back({name + part, role, DType::f32, shape, Tensor::full(shape, value)});
    Node norm = norm_behind(node, name, bias, eps);
    nodes.push_back(std::move(node));
    nodes.push_back(std::move(norm));
    unfolded.norms.push_back(name);
  }
  source.nodes = std::move(nodes);
  source.tensors.insert(source.tensors.end(), added.begin(), added.end());
  std::sort(unfolded.norms.begin(), unfolded.norms.end());
  return unfolded;
}

}  // namespace graft::models
