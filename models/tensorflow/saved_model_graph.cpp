#include "graft/models/tensorflow/saved_model_graph.h"

#include <algorithm>
#include <set>

#include "graft/core/base/checked_math.h"
#include "graft/models/tensorflow/take_graph.h"
#include "graft/models/tensorflow/written_out.h"

namespace graft::models {
namespace {

using io::onnx::ElementType;
using io::saved_model::Attribute;
using io::saved_model::Endpoint;
using io::saved_model::Node;
using tensorflow::AttributeValue;
using tensorflow::AttributeValues;
using tensorflow::Call;
using tensorflow::Dims;
using tensorflow::Item;
using tensorflow::Translation;
using tensorflow::Value;
using tensorflow::WrittenGraph;
using tensorflow::WrittenNode;

constexpr int64_t kLeastBudgetBytes = int64_t{1} << 20;

int64_t bytes_of_saved(const io::saved_model::Model& model) {
  int64_t bytes = kLeastBudgetBytes;
  for (const auto& [name, tensor] : model.variables) bytes = checked_add(bytes, tensor.bytes());
  return bytes;
}

bool is_variable(const std::string& op) {
  return op == "VarHandleOp" || op == "VariableV2" || op == "Variable";
}

bool is_leaf(const std::string& op) {
  return is_variable(op) || op == "Const" || op == "Placeholder" || op == "ReadVariableOp";
}

// "a/b_1" without the number that tracing gave it; "" where there is none.
std::string without_number(const std::string& name) {
  const size_t bar = name.rfind('_');
  const bool numbered = bar != std::string::npos && bar + 1 < name.size() && bar > 0 &&
                        name.find_first_not_of("0123456789", bar + 1) == std::string::npos;
  return numbered ? name.substr(0, bar) : "";
}

class SavedTranslation {
 public:
  explicit SavedTranslation(const io::saved_model::Model& model)
      : model_(model), t_(bytes_of_saved(model)) {}

  io::onnx::Model operator()() {
    GRAFT_CHECK(!model_.inputs.empty() && !model_.outputs.empty(), "its signature '",
                model_.signature, "' has no inputs or no outputs");
    std::vector<std::string> wanted, names;
    for (const Endpoint& output : model_.outputs) {
      wanted.push_back(output.tensor);
      names.push_back(output.key);
    }
    graph_ = tensorflow::write_out(model_, wanted);
    check_operators();
    for (const WrittenNode& node : graph_.nodes)
      for (const std::string& input : node.inputs) ++t_.readers[input];
    for (const std::string& output : graph_.outputs) ++t_.readers[output];
    name_variables();
    for (const Endpoint& input : model_.inputs) take_input(input);
    for (const WrittenNode& node : graph_.nodes) translate(node);
    std::vector<Item> outputs;
    for (const std::string& output : graph_.outputs) outputs.push_back(t_.at(output));
    io::onnx::Model graph = tensorflow::take_graph(t_, inputs_, types_, outputs, names);
    graph.path = model_.path;
    graph.producer_version = model_.tensorflow_version;
    graph.notes = model_.notes;
    graph.notes.insert(graph.notes.end(), t_.notes.begin(), t_.notes.end());
    return graph;
  }

 private:
  void check_operators() const {
    std::vector<std::string> unknown;
    std::set<std::string> seen;
    for (const WrittenNode& node : graph_.nodes) {
      const std::string& op = node.node->op;
      if (is_leaf(op) || tensorflow::find_operator(op) || !seen.insert(op).second) continue;
      if (unknown.size() < 20) unknown.push_back(str(op, " (node '", node.node->name, "')"));
    }
    GRAFT_CHECK(unknown.empty(), "the model uses what graft does not know: ", join(unknown));
  }

  // Variables are called as the model's author did, without the numbers that tracing adds.
  void name_variables() {
    std::map<std::string, int> uses;
    std::vector<const WrittenNode*> variables;
    for (const WrittenNode& node : graph_.nodes)
      if (is_variable(node.node->op)) {
        variables.push_back(&node);
        ++uses[node.name];
        if (const std::string plain = without_number(node.name); !plain.empty()) ++uses[plain];
      }
    for (const WrittenNode* node : variables) {
      const std::string plain = without_number(node->name);
      names_[node->name] = !plain.empty() && uses[plain] == 1 ? plain : node->name;
    }
    keys_ = tensorflow::checkpoint_keys(model_);
  }

  void take_input(const Endpoint& input) {
    GRAFT_CHECK(input.has_shape && input.dims.size() >= 2 && input.dims.size() <= 5, "its input '",
                input.key, "' has no shape, or ", input.dims.size(), " axes");
    Dims dims = input.dims;
    for (size_t axis = 1; axis < dims.size(); ++axis)
      GRAFT_CHECK(dims[axis] >= 1 && dims[axis] <= 1'000'000, "its input '", input.key,
                  "' leaves axis ", axis, " open, which graft does not read");
    if (dims[0] > 0) {
      t_.batch = dims[0];
      t_.fixed_batch = true;
      if (t_.batch > 1)
        t_.notes.push_back(str("the model was made for batches of ", t_.batch,
                               "; graft runs any size (guessed from its first axis)"));
    }
    dims[0] = -1;
    Value value{.name = t_.writer.input(input.key), .dims = dims};
    value.channels_first = value.rank() == 4;
    value.of_image = value.rank() == 4;
    GRAFT_CHECK(input.type == 1 || input.type == 4, "its input '", input.key,
                "' is of TensorFlow's type ", input.type, "; graft gives float32 or uint8");
    types_.push_back(input.type == 4 ? ElementType::uint8 : ElementType::float32);
    Item item;
    item.value = value;
    const std::string name =
        input.tensor.find(':') == std::string::npos ? input.tensor + ":0" : input.tensor;
    t_.put(name, std::move(item));
    inputs_.push_back(std::move(value));
  }

  void translate(const WrittenNode& node) {
    const std::string title = str(node.node->op, " (node '", node.node->name, "')");
    try {
      const std::string& op = node.node->op;
      if (is_variable(op)) return take_variable(node);
      if (op == "Const") return take_constant(node);
      if (op == "Placeholder") {
        GRAFT_CHECK(t_.items.contains(node.name + ":0"), "is no input of the signature");
        return;
      }
      t_.writer.begin(short_name(node));
      std::vector<std::string> outputs;
      for (int64_t i = 0; i < outputs_of(*node.node); ++i)
        outputs.push_back(str(node.name, ":", i));
      Call call(op == "ReadVariableOp" ? "Identity" : op, title, node.inputs, outputs,
                attributes_of(*node.node), t_);
      tensorflow::find_operator(call.op)->run(call);
      const auto first = t_.items.find(outputs[0]);
      if (outputs.size() == 1 && first != t_.items.end() && first->second.is_computed() &&
          first->second.block.empty())
        t_.writer.end(first->second.value);
    } catch (const Error& error) {
      throw error.with_context(title);
    }
  }

  static int64_t outputs_of(const Node& node) {
    const char* attribute = node.op == "Split" || node.op == "SplitV" ? "num_split"
                            : node.op == "Unpack"                     ? "num"
                                                                      : nullptr;
    const Attribute* count = attribute ? node.find(attribute) : nullptr;
    if (!count || count->integers.empty()) return 1;
    GRAFT_CHECK(count->integers[0] >= 1 && count->integers[0] <= 1000, "makes ", count->integers[0],
                " parts");
    return count->integers[0];
  }

  // Without the calls around it: they have names that Python's tracing gave.
  static std::string short_name(const WrittenNode& node) {
    std::string name = node.node->name;
    return name.substr(0, 200);
  }

  void take_variable(const WrittenNode& node) {
    const auto key = keys_.find(node.name);
    Tensor value = key == keys_.end() ? Tensor() : model_.variables.find(key->second);
    if (!value.defined()) value = model_.variables.find(node.name);
    if (const Attribute* shared = node.node->find("shared_name"); shared && !value.defined())
      value = model_.variables.find(shared->text);
    GRAFT_CHECK(value.defined(), "the variable '", node.name,
                "' is not in the checkpoint (variables/variables.index)");
    Item item;
    item.constant = is_floating(value.dtype()) ? value.to(DType::f32) : value;
    item.source = names_.at(node.name);
    t_.put(node.name + ":0", std::move(item));
  }

  void take_constant(const WrittenNode& node) {
    const Attribute* value = node.node->find("value");
    GRAFT_CHECK(value && value->tensor.defined(), "holds no numbers");
    Item item;
    const Tensor& tensor = value->tensor;
    item.constant = is_floating(tensor.dtype()) ? tensor.to(DType::f32) : tensor;
    if (tensor.numel() > 1 && is_floating(tensor.dtype())) item.source = short_name(node);
    t_.put(node.name + ":0", std::move(item));
  }

  static AttributeValues attributes_of(const Node& node) {
    AttributeValues result;
    for (const auto& [name, attribute] : node.attributes)
      result[name] = AttributeValue{attribute.integers, attribute.real, attribute.text};
    if (const Attribute* to = node.op == "Cast" ? node.find("DstT") : nullptr; to)
      result["to_real"].integers = {!to->integers.empty() &&
                                    (to->integers[0] == 1 || to->integers[0] == 2 ||
                                     to->integers[0] == 14 || to->integers[0] == 19)};
    return result;
  }

  const io::saved_model::Model& model_;
  Translation t_;
  WrittenGraph graph_;
  std::map<std::string, std::string> names_, keys_;
  std::vector<Value> inputs_;
  std::vector<ElementType> types_;
};

}  // namespace

io::onnx::Model onnx_graph(const io::saved_model::Model& model) {
  try {
    return SavedTranslation(model)();
  } catch (const Error& error) {
    if (model.path.empty() || std::string(error.what()).starts_with(model.path)) throw;
    throw error.with_context(model.path);
  }
}

}  // namespace graft::models
