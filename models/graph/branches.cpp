#include "graft/models/graph/branches.h"

#include "graft/core/base/error.h"

namespace graft::models::graph {

using io::onnx::Attribute;
using io::onnx::Graph;
using io::onnx::Node;

namespace {

// The names that a branch gives itself, each with what it is called in the whole graph.
using Renamed = std::unordered_map<std::string, std::string>;

void rename(std::string& name, const Renamed& names) {
  const auto found = names.find(name);
  if (found != names.end()) name = found->second;
}

// Branches within the branch see its names too.
void rename_reads(Node& node, const Renamed& names) {
  for (std::string& input : node.inputs) rename(input, names);
  for (Attribute& attribute : node.attributes)
    for (Graph& inner : attribute.graphs) {
      for (Node& inner_node : inner.nodes) rename_reads(inner_node, names);
      for (auto& output : inner.outputs) rename(output.name, names);
    }
}

}  // namespace

void add_names_read(const Node& node, std::unordered_set<std::string>& names) {
  names.insert(node.inputs.begin(), node.inputs.end());
  for (const Attribute& attribute : node.attributes)
    for (const Graph& branch : attribute.graphs) {
      for (const Node& inner : branch.nodes) add_names_read(inner, names);
      for (const auto& output : branch.outputs) names.insert(output.name);
    }
}

std::vector<Node> take_branch(const Node& node, bool condition,
                              std::unordered_map<std::string, Tensor>& constants) {
  const char* which = condition ? "then_branch" : "else_branch";
  const Attribute* attribute = node.find(which);
  GRAFT_CHECK(attribute && attribute->graphs.size() == 1, "its ", which, " is missing");
  const Graph& branch = attribute->graphs[0];
  GRAFT_CHECK(branch.inputs.empty() && branch.outputs.size() == node.outputs.size(), "its ", which,
              " has ", branch.inputs.size(), " inputs and ", branch.outputs.size(),
              " outputs, expected none and ", node.outputs.size());
  const std::string prefix =
      str(node.name.empty() ? node.outputs.at(0) : node.name, "/", which, "/");
  Renamed names;
  for (const auto& tensor : branch.initializers) {
    GRAFT_CHECK(tensor.value.defined(), "the initializer '", tensor.name,
                "' is no tensor of numbers");
    names[tensor.name] = prefix + tensor.name;
    GRAFT_CHECK(constants.emplace(prefix + tensor.name, tensor.value).second, "its initializer '",
                tensor.name, "' stands there twice");
  }
  for (const Node& inner : branch.nodes)
    for (const std::string& output : inner.outputs)
      if (!output.empty()) names[output] = prefix + output;
  std::vector<Node> taken;
  for (Node inner : branch.nodes) {
    rename_reads(inner, names);
    for (std::string& output : inner.outputs) rename(output, names);
    inner.name = prefix + inner.name;
    taken.push_back(std::move(inner));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    Node passed;
    passed.op_type = "Identity";
    passed.name = str(prefix, "output", i);
    passed.inputs = {branch.outputs[i].name};
    rename(passed.inputs[0], names);
    passed.outputs = {node.outputs[i]};
    taken.push_back(std::move(passed));
  }
  return taken;
}

}  // namespace graft::models::graph
