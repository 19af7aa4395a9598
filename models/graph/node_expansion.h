// NodeExpansion: one node said as several of ONNX's own: what the tables of such nodes
// (quantized_operators.cpp, fused_operators.cpp) write with.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/text.h"
#include "graft/io/onnx/model.h"

namespace graft::models::graph {

inline io::onnx::Attribute integer_attribute(const char* name, int64_t value) {
  io::onnx::Attribute a;
  a.name = name;
  a.type = io::onnx::AttributeType::int_;
  a.i = value;
  return a;
}

// The new nodes are appended to `out`.
class NodeExpansion {
 public:
  using Attribute = io::onnx::Attribute;
  using Node = io::onnx::Node;

  NodeExpansion(const Node& node, std::vector<Node>& out)
      : node_(node),
        out_(out),
        stem_(node.outputs.empty() || node.outputs[0].empty() ? node.name : node.outputs[0]),
        base_(node.name.empty() ? (node.outputs.empty() ? node.op_type : node.outputs[0])
                                : node.name) {}

  std::string input(size_t i) const { return i < node_.inputs.size() ? node_.inputs[i] : ""; }
  bool has(size_t i) const { return !input(i).empty(); }
  const Attribute* find(const char* name) const { return node_.find(name); }
  int64_t integer(const char* name, int64_t otherwise) const {
    const Attribute* a = find(name);
    return a ? a->i : otherwise;
  }

  std::string number(float value) {  // a constant
    Attribute a;
    a.name = "value_float";
    a.type = io::onnx::AttributeType::float_;
    a.f = value;
    return add("Constant", {}, "number", {a});
  }
  std::string add(const char* op, std::vector<std::string> inputs, const std::string& part,
                  std::vector<Attribute> attributes = {}) {
    Node n;
    n.name = n.op_type = op;
    n.name = str(stem_, "/", part, "_", count_++);
    n.inputs = std::move(inputs);
    n.outputs = {n.name};
    n.attributes = std::move(attributes);
    out_.push_back(std::move(n));
    return out_.back().outputs[0];
  }
  // The operator itself, under the node's name and with its attributes but for `dropped`.
  void compute(const char* op, std::vector<std::string> inputs, std::string output,
               std::initializer_list<std::string_view> dropped = {}) {
    while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
    Node n = node_;
    n.name = base_;
    n.domain.clear();
    n.op_type = op;
    n.inputs = std::move(inputs);
    n.outputs = {std::move(output)};
    std::erase_if(n.attributes, [&](const Attribute& a) {
      return std::find(dropped.begin(), dropped.end(), a.name) != dropped.end();
    });
    n.attributes.insert(n.attributes.end(), more.begin(), more.end());
    out_.push_back(std::move(n));
  }
  Node& last() { return out_.back(); }
  const std::vector<std::string>& inputs() const { return node_.inputs; }
  const std::string& result() const { return node_.outputs.at(0); }

  std::vector<Attribute> more;  // of the operator itself

 protected:
  const Node& node_;
  std::vector<Node>& out_;
  std::string stem_;  // of the names of new values: an output's, for nodes may share a name
  std::string base_;  // the name of the operator itself
  int count_ = 0;
};

}  // namespace graft::models::graph
