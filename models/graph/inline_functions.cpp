#include "graft/models/graph/inline_functions.h"

#include <map>
#include <tuple>

#include "graft/models/graph/op_call.h"

namespace graft::models::graph {
namespace {

using io::onnx::Attribute;
using io::onnx::Function;
using io::onnx::Node;

constexpr size_t kMostNodes = 1'000'000;
constexpr int kMostDepth = 32;
constexpr int64_t kMostTimes = 64;  // of the nodes as the file has them, beside MemoryBudget's base

int64_t bytes_in(const std::vector<std::string>& texts) {
  int64_t bytes = 0;
  for (const std::string& text : texts) bytes += static_cast<int64_t>(sizeof(text) + text.size());
  return bytes;
}

// What a copy of a node takes; tensors are shared.
int64_t bytes_in(const Node& node) {
  int64_t bytes = static_cast<int64_t>(sizeof(node) + node.name.size()) + bytes_in(node.inputs) +
                  bytes_in(node.outputs);
  for (const Attribute& a : node.attributes) {
    bytes +=
        static_cast<int64_t>(sizeof(a) + a.name.size() + a.s.size() +
                             a.floats.size() * sizeof(float) + a.ints.size() * sizeof(int64_t) +
                             a.tensors.size() * sizeof(io::onnx::NamedTensor)) +
        bytes_in(a.strings);
    for (const auto& graph : a.graphs)
      for (const Node& inner : graph.nodes) bytes += bytes_in(inner);
  }
  return bytes;
}

int64_t bytes_in(const io::onnx::Model& model) {
  int64_t bytes = 0;
  for (const Node& node : model.graph.nodes) bytes += bytes_in(node);
  for (const Function& function : model.functions)
    for (const Node& node : function.nodes) bytes += bytes_in(node);
  return bytes;
}

class Inliner {
 public:
  explicit Inliner(const io::onnx::Model& model) : budget_(bytes_in(model), kMostTimes) {
    for (const Function& function : model.functions)
      functions_[{function.domain, function.name, function.overload}] = &function;
    for (const Node& node : model.graph.nodes) add(node, 0);
  }
  std::vector<Node> take() { return std::move(nodes_); }

 private:
  void add(const Node& node, int depth) {
    const auto found = functions_.find({node.domain, node.op_type, node.overload});
    if (found == functions_.end()) {
      GRAFT_CHECK(nodes_.size() < kMostNodes, "its functions expand to more than ", kMostNodes,
                  " nodes");
      nodes_.push_back(node);
      return;
    }
    GRAFT_CHECK(depth < kMostDepth, title_of(node), ": functions call each other more than ",
                kMostDepth, " deep");
    expand(node, *found->second, depth);
  }

  void expand(const Node& call, const Function& function, int depth) {
    const std::string prefix =
        str(call.name.empty() ? (call.outputs.empty() ? call.op_type : call.outputs[0]) : call.name,
            "/", calls_++, "/");
    std::map<std::string, std::string> names{{"", ""}};
    for (size_t i = 0; i < function.inputs.size(); ++i)
      names[function.inputs[i]] = i < call.inputs.size() ? call.inputs[i] : "";
    for (size_t i = 0; i < function.outputs.size(); ++i)
      names[function.outputs[i]] = i < call.outputs.size() && !call.outputs[i].empty()
                                       ? call.outputs[i]
                                       : prefix + function.outputs[i];
    const auto renamed = [&](std::string& name) {
      const auto found = names.find(name);
      name = found != names.end() ? found->second : prefix + name;
    };
    for (const Node& stored : function.nodes) {
      // Calls count as nodes do: functions that only call each other must end too.
      budget_.charge(
          bytes_in(stored) +
          static_cast<int64_t>(prefix.size() * (1 + stored.inputs.size() + stored.outputs.size())));
      Node node = stored;
      node.name = prefix + node.name;
      for (std::string& input : node.inputs) renamed(input);
      for (std::string& output : node.outputs) renamed(output);
      resolve(node, call, function);
      add(node, depth + 1);
    }
  }

  // Attributes that refer to the call's take its value, the function's default, or are left out.
  static void resolve(Node& node, const Node& call, const Function& function) {
    std::vector<Attribute> kept;
    for (const Attribute& attribute : node.attributes) {
      if (attribute.reference.empty()) {
        kept.push_back(attribute);
        continue;
      }
      const Attribute* value = call.find(attribute.reference);
      for (const Attribute& otherwise : function.default_attributes)
        if (!value && otherwise.name == attribute.reference) value = &otherwise;
      if (!value) continue;
      kept.push_back(*value);
      kept.back().name = attribute.name;
    }
    node.attributes = std::move(kept);
  }

  std::map<std::tuple<std::string, std::string, std::string>, const Function*> functions_;
  io::MemoryBudget budget_;
  std::vector<Node> nodes_;
  int64_t calls_ = 0;
};

}  // namespace

std::vector<Node> inline_functions(const io::onnx::Model& model) { return Inliner(model).take(); }

}  // namespace graft::models::graph
