#include "graft/models/graph/network_form.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_set>

#include "graft/core/base/text.h"
#include "graft/models/graph/branches.h"

namespace graft::models::graph {
namespace {

using io::onnx::Attribute;
using io::onnx::ElementType;
using io::onnx::Node;

}  // namespace

bool sort_nodes(std::vector<Node>& nodes, const Constants& constants,
                const std::vector<std::string>& inputs) {
  std::unordered_map<std::string, size_t> makers;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].outputs)
      if (!output.empty()) makers.emplace(output, i);
  for (const std::string& input : inputs) makers.erase(input);
  std::vector<std::vector<size_t>> readers(nodes.size());
  std::vector<size_t> missing(nodes.size(), 0);
  bool in_order = true;
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::unordered_set<std::string> read;
    add_names_read(nodes[i], read);
    for (const std::string& name : read) {
      const auto maker = makers.find(name);
      if (maker == makers.end() || constants.contains(name) || maker->second == i) continue;
      in_order = in_order && maker->second < i;
      readers[maker->second].push_back(i);
      ++missing[i];
    }
  }
  if (in_order) return false;
  std::set<size_t> ready;  // the file's order, as far as it goes
  for (size_t i = 0; i < nodes.size(); ++i)
    if (missing[i] == 0) ready.insert(i);
  std::vector<Node> sorted;
  std::vector<bool> placed(nodes.size());
  while (!ready.empty()) {
    const size_t i = *ready.begin();
    ready.erase(ready.begin());
    placed[i] = true;
    for (const size_t reader : readers[i])
      if (--missing[reader] == 0) ready.insert(reader);
    sorted.push_back(std::move(nodes[i]));
  }
  for (size_t i = 0; i < nodes.size(); ++i)
    if (!placed[i]) sorted.push_back(std::move(nodes[i]));
  nodes = std::move(sorted);
  return true;
}

void use_own_modes(std::vector<Node>& nodes, const std::vector<std::string>& outputs,
                   Constants& constants, std::vector<std::string>& notes) {
  std::unordered_set<std::string> read(outputs.begin(), outputs.end());
  for (const Node& node : nodes) add_names_read(node, read);
  int64_t norms = 0, dropouts = 0;
  for (Node& node : nodes) {
    const bool norm = node.domain.empty() && node.op_type == "BatchNormalization",
               dropout = node.domain.empty() && node.op_type == "Dropout";
    if (!norm && !dropout) continue;
    bool others_read = false;
    for (size_t i = 1; i < node.outputs.size(); ++i)
      others_read = others_read || (!node.outputs[i].empty() && read.contains(node.outputs[i]));
    const auto* mode = node.find("training_mode");
    if (norm) {
      const bool trains = (mode && mode->i != 0) || node.outputs.size() > 1;
      if (!trains || others_read) continue;
      std::erase_if(node.attributes, [](const Attribute& a) { return a.name == "training_mode"; });
      ++norms;
    } else {
      if (others_read) continue;
      const auto live = node.inputs.size() > 2 ? constants.find(node.inputs[2]) : constants.end();
      if (live != constants.end() && live->second.numel() == 1 && live->second.to_doubles()[0] != 0)
        ++dropouts;
      if (node.inputs.size() > 2 && (node.inputs[2].empty() || live != constants.end()))
        node.inputs.resize(2);
    }
    node.outputs.resize(std::min<size_t>(node.outputs.size(), 1));
  }
  if (norms > 0)
    notes.push_back(str(norms,
                        " batch norms were exported in training mode; they use their stored "
                        "statistics, and a batch's own only while graft trains them"));
  if (dropouts > 0)
    notes.push_back(str(dropouts,
                        " dropouts were exported in training mode; they drop only while "
                        "graft trains"));
}

int64_t widen(std::vector<Node>& nodes, Constants& constants, bool doubles) {
  int64_t widened = 0;
  const auto is_other = [&](DType dtype) {
    return dtype == DType::f16 || dtype == DType::bf16 || (doubles && dtype == DType::f64);
  };
  const auto widen_tensor = [&](Tensor& tensor) {
    if (!tensor.defined() || !is_other(tensor.dtype())) return false;
    tensor = tensor.to(DType::f32);
    ++widened;
    return true;
  };
  for (auto& [name, tensor] : constants) widen_tensor(tensor);
  const auto is_type = [&](int64_t type) {
    return type == static_cast<int64_t>(ElementType::float16) ||
           type == static_cast<int64_t>(ElementType::bfloat16) ||
           (doubles && type == static_cast<int64_t>(ElementType::float64));
  };
  for (Node& node : nodes)
    for (Attribute& a : node.attributes) {
      for (auto& tensor : a.tensors)
        if (widen_tensor(tensor.value)) tensor.type = ElementType::float32;
      if ((a.name == "to" || a.name == "dtype" || a.name == "output_dtype") && is_type(a.i)) {
        a.i = static_cast<int64_t>(ElementType::float32);
        ++widened;
      }
      for (auto& graph : a.graphs) {
        Constants inner;
        for (auto& tensor : graph.initializers)
          if (widen_tensor(tensor.value)) tensor.type = ElementType::float32;
        widened += widen(graph.nodes, inner, doubles);
      }
    }
  return widened;
}

}  // namespace graft::models::graph
