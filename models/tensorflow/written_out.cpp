#include "graft/models/tensorflow/written_out.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "graft/core/base/error.h"

namespace graft::models::tensorflow {
namespace {

using io::saved_model::Function;
using io::saved_model::Model;
using io::saved_model::Node;

constexpr int kMostDepth = 32;
constexpr size_t kMostWritten = 100'000, kMostTextBytes = size_t{32} << 20;

// A value's node and output: "node", "node:1", and in functions "node:output:1".
struct Reference {
  std::string node;
  std::string output;
  int64_t index = 0;
};

Reference reference_of(const std::string& text) {
  Reference r;
  const size_t first = text.find(':');
  r.node = text.substr(0, first);
  if (first == std::string::npos) return r;
  const size_t second = text.find(':', first + 1);
  std::string_view number = std::string_view(text).substr(first + 1);
  if (second != std::string::npos) {
    r.output = text.substr(first + 1, second - first - 1);
    number = std::string_view(text).substr(second + 1);
  }
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), r.index);
  GRAFT_CHECK(error == std::errc() && end == number.data() + number.size() && r.index >= 0 &&
                  r.index < 100'000,
              "the value '", text, "' has no such output");
  return r;
}

// The number of a named output among a node's.
int64_t index_of(const Node& node, const Reference& r) {
  const bool is_norm = node.op.starts_with("FusedBatchNorm");
  return is_norm && !r.output.empty() && r.output != "y" ? r.index + 1 : r.index;
}

bool is_control(const std::string& input) { return input.starts_with('^'); }

std::string called(const Node& node, const Model& model) {
  if (node.op == "PartitionedCall" || node.op == "StatefulPartitionedCall")
    if (const auto* f = node.find("f")) return f->text;
  return model.functions.contains(node.op) ? node.op : "";
}

class WriterOut {
 public:
  explicit WriterOut(const Model& model) : model_(model) {}

  WrittenGraph operator()(const std::vector<std::string>& wanted) {
    write_main(wanted);
    WrittenGraph result;
    for (const std::string& value : wanted) result.outputs.push_back(found(main_value(value)));
    sort(result);
    return result;
  }

 private:
  std::string main_value(const std::string& value) const {
    const Reference r = reference_of(value);
    return str(r.node, ":", r.index);
  }

  // The nodes of the main graph that the values need; save and restore stay out.
  void write_main(const std::vector<std::string>& wanted) {
    std::unordered_map<std::string, const Node*> nodes;
    for (const Node& node : model_.nodes)
      GRAFT_CHECK(nodes.emplace(node.name, &node).second, "the node '", node.name,
                  "' stands there twice");
    std::vector<std::string> open;
    std::set<std::string> seen;
    for (const std::string& value : wanted) open.push_back(reference_of(value).node);
    while (!open.empty()) {
      const std::string name = open.back();
      open.pop_back();
      if (!seen.insert(name).second) continue;
      const auto node = nodes.find(name);
      GRAFT_CHECK(node != nodes.end(), "nothing gives the value '", name, "'");
      std::vector<std::string> inputs;
      for (const std::string& input : node->second->inputs) {
        if (is_control(input)) continue;
        inputs.push_back(main_value(input));
        open.push_back(reference_of(input).node);
      }
      write(*node->second, node->second->name, std::move(inputs), 0);
    }
  }

  void write(const Node& node, const std::string& name, std::vector<std::string> inputs,
             int depth) {
    const std::string callee = called(node, model_);
    if (!callee.empty()) return call(name, callee, inputs, depth);
    text_bytes_ += 2 * name.size();
    for (const std::string& input : inputs) text_bytes_ += input.size() + 32;
    GRAFT_CHECK(written_.size() < kMostWritten && text_bytes_ <= kMostTextBytes,
                "the model becomes a graph of more than ", kMostWritten,
                " nodes, or of names without end");
    GRAFT_CHECK(numbers_.emplace(name, written_.size()).second, "two nodes are named '", name, "'");
    written_.push_back({&node, name, std::move(inputs)});
  }

  void call(const std::string& name, const std::string& callee,
            const std::vector<std::string>& inputs, int depth) {
    const auto found = model_.functions.find(callee);
    GRAFT_CHECK(found != model_.functions.end(), "the node '", name, "' calls '", callee,
                "', which is no function of the file");
    GRAFT_CHECK(depth < kMostDepth, "its functions call each other more than ", kMostDepth,
                " deep");
    const Function& function = found->second;
    GRAFT_CHECK(inputs.size() == function.inputs.size(), "the node '", name, "' calls '", callee,
                "' with ", inputs.size(), " values; it takes ", function.inputs.size());
    std::unordered_map<std::string, std::string> arguments;
    std::unordered_map<std::string, const Node*> nodes;
    for (size_t i = 0; i < inputs.size(); ++i) arguments[function.inputs[i]] = inputs[i];
    for (const Node& inner : function.nodes) nodes[inner.name] = &inner;
    calls_ += function.nodes.size() + 1;
    GRAFT_CHECK(calls_ <= kMostWritten, "the model becomes a graph of more than ", kMostWritten,
                " nodes");
    const auto value_within = [&](const std::string& value) {
      const Reference r = reference_of(value);
      if (const auto argument = arguments.find(r.node);
          argument != arguments.end() && r.output.empty())
        return argument->second;
      const auto inner = nodes.find(r.node);
      GRAFT_CHECK(inner != nodes.end(), "nothing gives the value '", value, "' of '", callee, "'");
      return str(name, "/", r.node, ":", index_of(*inner->second, r));
    };
    for (const Node& inner : function.nodes) {
      std::vector<std::string> values;
      for (const std::string& input : inner.inputs)
        if (!is_control(input)) values.push_back(value_within(input));
      write(inner, str(name, "/", inner.name), std::move(values), depth + 1);
    }
    for (size_t i = 0; i < function.outputs.size(); ++i) {
      const auto returned = function.returned.find(function.outputs[i]);
      GRAFT_CHECK(returned != function.returned.end(), "the function '", callee,
                  "' does not say what it returns");
      aliases_[str(name, ":", i)] = value_within(returned->second);
    }
  }

  // Through what calls return.
  std::string found(std::string value) const {
    for (int steps = 0; steps < 4 * kMostDepth; ++steps) {
      const auto alias = aliases_.find(value);
      if (alias == aliases_.end()) return value;
      value = alias->second;
    }
    bad_input("the value '", value, "' is returned in a circle");
  }

  void sort(WrittenGraph& result) {
    enum class State : uint8_t { fresh, open, done };
    std::vector<State> states(written_.size(), State::fresh);
    std::vector<std::pair<size_t, size_t>> path;  // a node and its next input
    const auto visit = [&](const std::string& value) {
      const auto number = numbers_.find(value.substr(0, value.rfind(':')));
      GRAFT_CHECK(number != numbers_.end(), "nothing gives the value '", value, "'");
      GRAFT_CHECK(states[number->second] != State::open, "its nodes form a cycle through '", value,
                  "'");
      if (states[number->second] == State::done) return;
      states[number->second] = State::open;
      path.emplace_back(number->second, 0);
    };
    for (const std::string& output : result.outputs) {
      visit(output);
      while (!path.empty()) {
        auto& [number, next] = path.back();
        WrittenNode& node = written_[number];
        if (next < node.inputs.size()) {
          node.inputs[next] = found(node.inputs[next]);
          const std::string input = node.inputs[next++];
          visit(input);
          continue;
        }
        states[number] = State::done;
        result.nodes.push_back(node);
        path.pop_back();
      }
    }
  }

  const Model& model_;
  std::vector<WrittenNode> written_;
  std::unordered_map<std::string, size_t> numbers_;
  std::unordered_map<std::string, std::string> aliases_;
  size_t calls_ = 0, text_bytes_ = 0;
};

// Looks for RestoreV2 -> Identity -> AssignVariableOp (or Assign) among nodes.
void find_keys(const std::vector<Node>& nodes, const std::map<std::string, std::string>& arguments,
               std::map<std::string, std::string>& keys) {
  std::unordered_map<std::string, const Node*> named;
  for (const Node& node : nodes) named[node.name] = &node;
  const auto node_of = [&](const std::string& value) {
    const auto node = named.find(reference_of(value).node);
    return node == named.end() ? nullptr : node->second;
  };
  for (const Node& node : nodes) {
    if ((node.op != "AssignVariableOp" && node.op != "Assign") || node.inputs.size() < 2) continue;
    std::string value = node.inputs[1];
    const Node* source = node_of(value);
    for (int steps = 0; steps < 8 && source && source->op != "RestoreV2"; ++steps) {
      if (source->inputs.empty() || is_control(source->inputs[0])) break;
      value = source->inputs[0];
      source = node_of(value);
    }
    if (!source || source->op != "RestoreV2" || source->inputs.size() < 2) continue;
    const Node* names = node_of(source->inputs[1]);
    const auto* list = names ? names->find("value") : nullptr;
    const auto number = static_cast<size_t>(reference_of(value).index);
    if (!list || number >= list->texts.size()) continue;
    const std::string variable = reference_of(node.inputs[0]).node;
    const auto argument = arguments.find(variable);
    keys[argument == arguments.end() ? variable : argument->second] = list->texts[number];
  }
}

}  // namespace

WrittenGraph write_out(const Model& model, const std::vector<std::string>& wanted) {
  return WriterOut(model)(wanted);
}

std::map<std::string, std::string> checkpoint_keys(const Model& model) {
  std::map<std::string, std::string> keys;
  find_keys(model.nodes, {}, keys);
  for (const Node& node : model.nodes) {
    if (node.name != model.restore_op) continue;
    const auto function = model.functions.find(called(node, model));
    if (function == model.functions.end()) continue;
    std::map<std::string, std::string> arguments;
    const auto& names = function->second.inputs;
    for (size_t i = 0; i < std::min(names.size(), node.inputs.size()); ++i)
      if (!is_control(node.inputs[i])) arguments[names[i]] = reference_of(node.inputs[i]).node;
    find_keys(function->second.nodes, arguments, keys);
  }
  return keys;
}

}  // namespace graft::models::tensorflow
