#include "graft/models/graph/graph_source.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "graft/core/autograd/record.h"
#include "graft/core/base/checked_math.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/models/graph/branches.h"
#include "graft/models/graph/dequantize.h"
#include "graft/models/graph/element_type.h"
#include "graft/models/graph/fused_operators.h"
#include "graft/models/graph/inline_functions.h"
#include "graft/models/graph/network_form.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/quantized_operators.h"
#include "graft/models/graph/work_limit.h"

namespace graft::models {
namespace {

using graph::find_operator;
using graph::title_of;
using io::onnx::Node;

DType dtype_of_input(const io::onnx::ValueInfo& input) {
  GRAFT_CHECK(input.kind == "tensor", "its input '", input.name, "' is a ",
              input.kind.empty() ? "value without a type" : input.kind, ", which is not supported");
  return graph::dtype_of_element(input.type);
}

// The cost of these grows faster than what they take and give: a few bytes in a file could ask for
// hours.
bool is_costly(const Node& node) {
  static const std::set<std::string_view> operators = {
      "Attention",     "AveragePool", "Conv",        "ConvInteger",   "ConvTranspose",
      "Einsum",        "Gemm",        "LpPool",      "LRN",           "MatMul",
      "MatMulInteger", "MaxPool",     "QLinearConv", "QLinearMatMul", "RoiAlign"};
  return operators.contains(node.op_type);
}
constexpr int64_t kMostCostlyElements =
    4096;  // of all operands of a costly node that is folded; larger ones run with the graph
constexpr int64_t kMostCostlyBytes = int64_t{1} << 20;  // that it may take

int64_t elements_in(const std::vector<Tensor>& tensors) {
  int64_t elements = 0;
  for (const Tensor& tensor : tensors) elements += tensor.defined() ? tensor.numel() : 0;
  return elements;
}

class GraphReader {
 public:
  GraphReader(const io::onnx::Model& model, const GraphReadOptions& options)
      : model_(model),
        options_(options),
        nodes_(graph::inline_functions(model)),
        parameters_(model.parameters.begin(), model.parameters.end()) {}

  GraphSource operator()() {
    source_.name = model_.graph.name;
    source_.notes = model_.notes;
    for (const auto& set : model_.opsets)
      source_.opsets[set.domain] = std::max(source_.opsets[set.domain], set.version);
    for (const auto& function : model_.functions)
      for (const auto& set : function.opsets) source_.opsets.emplace(set.domain, set.version);
    read_initializers();
    read_inputs();
    for (const auto& output : model_.graph.outputs) source_.outputs.push_back(output.name);
    GRAFT_CHECK(!source_.outputs.empty(), "the graph has no outputs");
    sort();
    check_names();
    drop_unused_nodes();
    expand_fused();
    expand_quantized();
    check_operators(nodes_);
    if (options_.as_network) widen();
    fold();
    if (options_.as_network) take_network_form();
    unshare_norms();
    keep_used_tensors();
    return std::move(source_);
  }

 private:
  void read_initializers() {
    for (const auto& tensor : model_.graph.initializers) {
      GRAFT_CHECK(!constants_.contains(tensor.name), "the initializer '", tensor.name,
                  "' stands there twice");
      GRAFT_CHECK(tensor.value.defined(), "the initializer '", tensor.name,
                  "' is no tensor of numbers");
      constants_[tensor.name] = tensor.value;
    }
  }

  void read_inputs() {
    for (const auto& input : model_.graph.inputs) {
      if (constants_.contains(input.name))
        continue;  // before IR 4 every initializer is an input too
      GraphInput read{.name = input.name,
                      .dtype = dtype_of_input(input),
                      .has_shape = input.has_shape,
                      .dims = {}};
      for (const auto& dim : input.dims) read.dims.push_back(dim.value);
      source_.inputs.push_back(std::move(read));
    }
  }

  void check_names() {
    std::unordered_set<std::string> known, later;
    for (const auto& [name, tensor] : constants_) known.insert(name);
    for (const GraphInput& input : source_.inputs)
      GRAFT_CHECK(known.insert(input.name).second, "the input '", input.name,
                  "' stands there twice");
    for (const Node& node : nodes_)
      for (const std::string& output : node.outputs)
        if (!output.empty()) later.insert(output);
    for (const Node& node : nodes_) {
      for (const std::string& input : node.inputs) {
        if (input.empty() || known.contains(input)) continue;
        GRAFT_CHECK(!later.contains(input), title_of(node), ": its input '", input,
                    "' is computed by a node behind it: the graph's nodes form a cycle");
        bad_input(title_of(node), ": nothing gives its input '", input, "'");
      }
      for (const std::string& output : node.outputs)
        GRAFT_CHECK(output.empty() || known.insert(output).second, title_of(node), ": its output '",
                    output, "' is given twice");
    }
    for (const std::string& output : source_.outputs)
      GRAFT_CHECK(known.contains(output), "nothing gives the graph's output '", output, "'");
  }

  void drop_unused_nodes() {
    std::unordered_set<std::string> used(source_.outputs.begin(), source_.outputs.end());
    std::vector<bool> kept(nodes_.size());
    for (size_t i = nodes_.size(); i-- > 0;) {
      for (const std::string& output : nodes_[i].outputs)
        kept[i] = kept[i] || used.contains(output);
      if (kept[i]) graph::add_names_read(nodes_[i], used);
    }
    size_t next = 0;
    std::erase_if(nodes_, [&](const Node&) { return !kept[next++]; });
  }

  int64_t opset_of(const Node& node) const {
    const auto found = source_.opsets.find(node.domain);
    return found == source_.opsets.end() ? 1 : found->second;
  }

  // Every operator and attribute that graft does not know, in one sentence.
  void check_operators(const std::vector<Node>& nodes) const {
    std::vector<std::string> unknown;
    std::set<std::string> seen;
    for (const Node& node : nodes) {
      if (is_if(node)) continue;  // its branch is checked when it is taken
      const graph::Operator* op = find_operator(node.domain, node.op_type);
      if (!op) {
        if (seen.insert(node.domain + "." + node.op_type).second)
          unknown.push_back(str(title_of(node), " (", node.domain.empty() ? "ai.onnx" : node.domain,
                                " opset ", opset_of(node), ")"));
        continue;
      }
      for (const auto& attribute : node.attributes)
        if (!graph::knows_attribute(*op, attribute.name) &&
            seen.insert(node.op_type + " " + attribute.name).second)
          unknown.push_back(str(title_of(node), "'s attribute ", attribute.name, " (opset ",
                                opset_of(node), ")"));
    }
    GRAFT_CHECK(unknown.empty(), "the graph uses what graft does not know: ", join(unknown));
  }

  void sort() {
    std::vector<std::string> inputs;
    for (const GraphInput& input : source_.inputs) inputs.push_back(input.name);
    if (graph::sort_nodes(nodes_, constants_, inputs))
      source_.notes.push_back(
          "the file's nodes do not stand in the order in which they run: they were sorted");
  }

  void expand_fused() {
    const int64_t fused = graph::expand_fused_operators(nodes_);
    if (fused > 0)
      source_.notes.push_back(str(fused,
                                  " fused operators of onnxruntime's own (a graph saved after its "
                                  "optimization) are read as what they were fused of"));
  }

  void expand_quantized() {
    expanded_ = graph::expand_quantized_operators(nodes_, options_.as_network
                                                              ? graph::QuantizedForms::all
                                                              : graph::QuantizedForms::onnxruntime);
    if (expanded_ > 0 && !options_.as_network)
      source_.notes.push_back(str(expanded_,
                                  " quantized operators of onnxruntime's own are "
                                  "computed in float between their integers"));
  }

  void widen() {
    bool doubles = false;
    for (GraphInput& input : source_.inputs) {
      doubles = doubles || input.dtype == DType::f64;
      if (is_floating(input.dtype)) input.dtype = DType::f32;
    }
    const int64_t widened = graph::widen(nodes_, constants_, doubles);
    if (widened > 0)
      source_.notes.push_back(str(widened, " tensors and casts of the graph are ",
                                  doubles ? "of other floating types" : "16-bit floats",
                                  ": read as float32"));
  }

  // Training's behavior and quantization left to graft, see network_form.h and dequantize.h.
  void take_network_form() {
    nodes_ = std::move(source_.nodes);
    source_.nodes.clear();
    graph::ElementTypes types;
    for (const auto& tensor : model_.graph.initializers) types[tensor.name] = tensor.type;
    const graph::Dequantized done = graph::dequantize(nodes_, constants_, types, opset_of(Node{}));
    if (done.clips + done.dynamic + expanded_ > 0)
      source_.notes.push_back(str(
          "a quantized graph, read in float: ",
          done.clips > 0 || done.dynamic == 0
              ? str(done.clips, " quantizers became Clips to the range of their integers")
              : "",
          done.clips > 0 && done.dynamic > 0 ? ", " : "",
          done.dynamic > 0 ? str(done.dynamic, " quantizers that follow their input were left out")
                           : "",
          "; nothing is rounded"));
    graph::use_own_modes(nodes_, source_.outputs, constants_, source_.notes);
    drop_unused_nodes();
    fold();
    graph::absorb_scales(source_.nodes, constants_, source_.outputs);
    std::erase_if(source_.opsets, [&](const auto& set) {
      return !set.first.empty() &&
             std::none_of(source_.nodes.begin(), source_.nodes.end(),
                          [&](const Node& node) { return node.domain == set.first; });
    });
  }

  static bool is_if(const Node& node) { return node.domain.empty() && node.op_type == "If"; }

  // The branch that an If takes, whose condition must be constant by now.
  std::vector<Node> branch_of(const Node& node) {
    try {
      const auto condition =
          node.inputs.empty() ? constants_.end() : constants_.find(node.inputs[0]);
      GRAFT_CHECK(condition != constants_.end(),
                  "graft takes the branches of an If when it reads a graph, and this condition is "
                  "computed from the graph's inputs (ai.onnx opset ",
                  opset_of(node), ")");
      GRAFT_CHECK(condition->second.numel() == 1, "its condition ", condition->second.shape(),
                  " is not one number");
      std::vector<Node> branch =
          graph::take_branch(node, condition->second.to_doubles()[0] != 0, constants_);
      check_operators(branch);
      return branch;
    } catch (const Error& error) {
      throw error.with_context(title_of(node));
    }
  }

  // Evaluates every node whose inputs are all constant, parameters that are known as such excepted.
  void fold() {
    const NoGradGuard no_grad;
    graph::RunMode mode;
    int64_t most_bytes = options_.folded_bytes;
    for (const auto& [name, tensor] : constants_)
      most_bytes = checked_add(most_bytes, checked_mul(4, tensor.bytes()));
    mode.most_elements = most_bytes / 8;
    double work = static_cast<double>(options_.folded_operations) +
                  static_cast<double>(kFoldedOperationsPerByte) *
                      static_cast<double>(most_bytes - options_.folded_bytes) / 4;
    int64_t bytes = 0;
    std::deque<Node> open(std::make_move_iterator(nodes_.begin()),
                          std::make_move_iterator(nodes_.end()));
    while (!open.empty()) {
      Node node = std::move(open.front());
      open.pop_front();
      if (is_if(node)) {
        std::vector<Node> branch = branch_of(node);
        open.insert(open.begin(), std::make_move_iterator(branch.begin()),
                    std::make_move_iterator(branch.end()));
        continue;
      }
      const bool constant =
          std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& name) {
            return name.empty() || (constants_.contains(name) && !parameters_.contains(name));
          });
      if (!constant || node.op_type == "Dropout") {
        source_.nodes.push_back(std::move(node));
        continue;
      }
      std::vector<Tensor> inputs;
      for (const std::string& name : node.inputs)
        inputs.push_back(name.empty() ? Tensor() : constants_.at(name));
      const bool costly = is_costly(node);
      const graph::OpCall call(node, opset_of(node), inputs, mode);
      const double takes = graph::work_of(call);
      if (takes > work || (costly && elements_in(inputs) > kMostCostlyElements)) {
        source_.nodes.push_back(std::move(node));
        continue;
      }
      work -= takes;
      try {
        const ScopedAllocationLimit limit(
            costly ? kMostCostlyBytes
                   : checked_mul(2, most_bytes));  // the result, and what it is made from
        const graph::OpOutputs results = find_operator(node.domain, node.op_type)->run(call);
        work -= graph::work_of_elements(results);
        for (size_t i = 0; i < std::min(results.size(), node.outputs.size()); ++i) {
          if (node.outputs[i].empty()) continue;
          const bool same = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
            return input.is_same(results[i]);
          });
          constants_[node.outputs[i]] =
              same ? results[i].clone() : results[i];  // two names are two tensors
          bytes = checked_add(bytes, results[i].bytes());
        }
      } catch (const Error& error) {
        throw error.with_context(title_of(node));
      }
      GRAFT_CHECK(bytes <= most_bytes, title_of(node),
                  ": the graph's constants would take more than ", most_bytes, " bytes");
    }
  }

  // Exporters store equal tensors once. A batch norm's statistics and affine parameters are its own
  // all the same: they get copies, named after the norm.
  void unshare_norms() {
    std::unordered_map<std::string, int> readers;
    for (const Node& node : source_.nodes)
      for (const std::string& input : node.inputs) ++readers[input];
    for (Node& node : source_.nodes)
      for (size_t i = 1; node.op_type == "BatchNormalization" && i < node.inputs.size(); ++i) {
        std::string& input = node.inputs[i];
        if (input.empty() || !constants_.contains(input) || readers[input] == 1) continue;
        const std::string own =
            str(node.name.empty() ? node.outputs.at(0) : node.name, "/", input, "/", i);
        if (!constants_.emplace(own, constants_.at(input).clone()).second) continue;
        --readers[input];
        input = own;
      }
  }

  // Constants by the names of the values they became, each with the role that its users give it.
  void keep_used_tensors() {
    std::unordered_map<std::string, TensorRole> roles;
    std::vector<std::string> order;
    std::unordered_set<std::string> trained;  // values behind an operator with weights
    const auto use = [&](const std::string& name, TensorRole role) {
      const auto [found, is_first] = roles.emplace(name, role);
      if (is_first)
        order.push_back(name);
      else if (role == TensorRole::parameter ||
               (role == TensorRole::buffer && found->second == TensorRole::constant))
        found->second = role;
    };
    for (const Node& node : source_.nodes) {
      bool behind_weights =
          std::any_of(node.inputs.begin(), node.inputs.end(),
                      [&](const std::string& name) { return trained.contains(name); });
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const auto found = constants_.find(node.inputs[i]);
        if (node.inputs[i].empty() || found == constants_.end()) continue;
        TensorRole role = role_of_input(node, i);
        // A vector added or multiplied behind a layer is a bias or a scale; before any layer it is
        // preprocessing.
        if ((node.op_type == "Add" || node.op_type == "Mul" || node.op_type == "Sub") &&
            behind_weights && found->second.numel() > 1)
          role = TensorRole::parameter;
        if (parameters_.contains(node.inputs[i]))
          role = TensorRole::parameter;
        else if (!parameters_.empty() && role == TensorRole::parameter)
          role = TensorRole::constant;
        if (!is_floating(found->second.dtype())) role = TensorRole::constant;
        use(node.inputs[i], role);
        behind_weights = behind_weights || role == TensorRole::parameter;
      }
      if (behind_weights) trained.insert(node.outputs.begin(), node.outputs.end());
    }
    for (const std::string& output : source_.outputs)
      if (constants_.contains(output)) use(output, TensorRole::constant);
    for (const std::string& name : order) {
      const Tensor& value = constants_.at(name);
      source_.tensors.push_back({name, roles.at(name), value.dtype(), value.shape(), value});
    }
  }

  const io::onnx::Model& model_;
  const GraphReadOptions& options_;
  std::vector<Node> nodes_;
  graph::Constants constants_;
  std::unordered_set<std::string> parameters_;  // as the model says them
  int64_t expanded_ = 0;                        // quantized operators
  GraphSource source_;
};

}  // namespace

TensorRole role_of_input(const Node& node, size_t input) {
  const std::string& op = node.op_type;
  if (op == "Conv" || op == "ConvTranspose" || op == "Gemm")
    return input >= 1 ? TensorRole::parameter : TensorRole::constant;
  if (op == "MatMul") return TensorRole::parameter;
  if (op == "BatchNormalization")
    return input == 1 || input == 2 ? TensorRole::parameter
           : input >= 3             ? TensorRole::buffer
                                    : TensorRole::constant;
  if (op == "InstanceNormalization" || op == "LayerNormalization" || op == "GroupNormalization" ||
      op == "RMSNormalization" || op == "PRelu")
    return input >= 1 ? TensorRole::parameter : TensorRole::constant;
  if (op == "Gather") return input == 0 ? TensorRole::parameter : TensorRole::constant;
  return TensorRole::constant;
}

bool is_linear_operator(const Node& node) {
  return node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type == "Gemm" ||
         node.op_type == "MatMul";
}

GraphSource read_graph(const io::onnx::Model& model, const GraphReadOptions& options) {
  try {
    return GraphReader(model, options)();
  } catch (const Error& error) {
    throw error.with_context(model.path);
  }
}

}  // namespace graft::models
