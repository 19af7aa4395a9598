#include "graft/models/aten/aten_graph.h"

#include <algorithm>
#include <array>
#include <map>

#include "graft/models/aten/aten_call.h"
#include "graft/models/aten/in_place.h"

namespace graft::models {
namespace {

using aten::aten_name;
using aten::AtenCall;
using aten::AtenName;
using aten::AtenOperator;
using aten::Building;
using aten::find_aten;
using aten::Known;
using io::ExportedInput;
using io::ExportedKind;
using io::ExportedNode;
using io::ExportedProgram;
using io::ExportedRole;

constexpr int64_t kOpset = 21;

std::string title_of_aten(const ExportedNode& node) {
  return str(node.target, " (node '", node.name, node.module.empty() ? "" : "', in ", node.module,
             node.module.empty() ? "')" : ")");
}

// The nodes that the user's outputs need, and each one's name: its module's where that has one
// node only.
class AtenTranslation {
 public:
  explicit AtenTranslation(const ExportedProgram& program)
      : program_(program), b_(program), memory_(program) {}

  io::onnx::Model operator()() {
    b_.model.path = program_.path;
    b_.model.ir_version = 10;
    b_.model.opsets = {{"", kOpset}};
    b_.model.producer_name = "torch.export";
    b_.model.producer_version = program_.torch_version;
    b_.model.notes = program_.notes;
    b_.model.graph.name = "exported";
    take_inputs();
    const std::vector<bool> needed = memory_.needed();
    check_operators(needed);
    name_nodes(needed);
    for (size_t i = 0; i < program_.nodes.size(); ++i)
      if (needed[i]) translate(i);
    take_outputs();
    say();
    return std::move(b_.model);
  }

 private:
  void take_inputs() {
    for (const ExportedInput& input : program_.inputs) {
      if (input.role != ExportedRole::user) b_.names.insert(input.target);
      Known known;
      known.value = input.target;
      GRAFT_CHECK(b_.known.emplace(input.name, std::move(known)).second, "its input '", input.name,
                  "' stands there twice");
    }
    std::map<uint64_t, std::string> owners;  // parameters that are one tensor
    for (const ExportedInput& input : program_.inputs) {
      Known& known = b_.known.at(input.name);
      if (input.role == ExportedRole::user) {
        take_user_input(input, known);
        continue;
      }
      const Tensor value = program_.tensors.find(input.target);
      if (!value.defined()) {  // it matters only when a node reads it
        b_.known.erase(input.name);
        continue;
      }
      if (input.role == ExportedRole::parameter) {
        const auto [owner, is_first] = owners.emplace(value.storage_id(), input.target);
        if (!is_first && program_.tensors.find(owner->second).is_same(value)) {
          known.value = owner->second;
          b_.model.notes.push_back(
              str("the parameters ", owner->second, " and ", input.target, " are one tensor"));
          continue;
        }
        b_.model.parameters.push_back(input.target);
      }
      io::onnx::NamedTensor tensor;
      tensor.name = input.target;
      tensor.value = value;
      b_.model.graph.initializers.push_back(std::move(tensor));
    }
  }

  void take_user_input(const ExportedInput& input, Known& known) {
    const io::ExportedMeta& meta = b_.meta(input.name);
    io::onnx::ValueInfo info;
    info.name = known.value = b_.unique(input.name);
    info.type = static_cast<io::onnx::ElementType>(aten::onnx_type(meta.type));
    info.has_shape = true;
    for (size_t axis = 0; axis < meta.sizes.size(); ++axis)
      info.dims.push_back({meta.sizes[axis], meta.sizes[axis] < 0 ? str("size", axis) : ""});
    if (b_.image.empty() && !meta.sizes.empty()) {
      b_.image = info.name;
      b_.batch = std::max<int64_t>(meta.sizes[0], 0);
      known.batch = 0;
    }
    b_.model.graph.inputs.push_back(std::move(info));
  }

  void check_operators(const std::vector<bool>& needed) const {
    std::vector<std::string> unknown;
    std::set<std::string> seen;
    for (size_t i = 0; i < program_.nodes.size(); ++i) {
      const ExportedNode& node = program_.nodes[i];
      if (needed[i] && !find_aten(aten_name(node.target).name) && seen.insert(node.target).second)
        unknown.push_back(title_of_aten(node));
    }
    GRAFT_CHECK(unknown.empty(), "the program uses what graft does not know: ", join(unknown));
  }

  void name_nodes(const std::vector<bool>& needed) {
    std::map<std::string, int> nodes_in;
    for (size_t i = 0; i < program_.nodes.size(); ++i)
      if (needed[i]) ++nodes_in[program_.nodes[i].module];
    for (const ExportedNode& node : program_.nodes)
      titles_.push_back(node.module.empty()          ? node.name
                        : nodes_in[node.module] == 1 ? node.module
                                                     : str(node.module, "/", node.name));
  }

  void translate(size_t i) {
    const ExportedNode& node = program_.nodes[i];
    try {
      const AtenName name = aten_name(node.target);
      const AtenOperator& op = *find_aten(name.name);
      for (const std::string& output : node.outputs)
        GRAFT_CHECK(output.empty() || !b_.known.contains(output), "its output '", output,
                    "' is given twice");
      GRAFT_CHECK(!node.outputs.empty() && !node.outputs[0].empty(), "gives no result");
      AtenCall call(node, titles_[i], b_);
      op.run(call);
      follow_batch(node);
      memory_.follow(b_, call, name, op);
    } catch (const Error& error) {
      throw error.with_context(title_of_aten(node));
    }
  }

  // Where no rule told it: as in the first input that has one, counted from the last axis.
  void follow_batch(const ExportedNode& node) {
    if (b_.batch == 0) return;
    const std::string* from = nullptr;
    int behind = 0;
    const auto look = [&](const std::string& name) {
      if (from || name.empty() || !b_.known.contains(name) || !program_.values.contains(name))
        return;
      const int axis = b_.batch_axis(name);
      if (axis == aten::kNoBatch) return;
      from = &name;
      behind = static_cast<int>(b_.meta(name).sizes.size()) - axis;
    };
    for (const auto& argument : node.inputs)
      if (argument.kind == ExportedKind::tensor || argument.kind == ExportedKind::tensors)
        for (const std::string& name : argument.texts) look(name);
    if (!from) return;
    for (const std::string& output : node.outputs) {
      const auto known = b_.known.find(output);
      if (output.empty() || known == b_.known.end() || known->second.batch != aten::kNoBatch ||
          !program_.values.contains(output))
        continue;
      const auto& sizes = b_.meta(output).sizes;
      const int axis = static_cast<int>(sizes.size()) - behind;
      if (axis < 0 || sizes[static_cast<size_t>(axis)] % b_.batch != 0) continue;
      known->second.batch = axis;
      known->second.before = b_.known.at(*from).before;
    }
  }

  void take_outputs() {
    for (const std::string& output : program_.outputs) {
      if (output.empty()) continue;
      const auto known = b_.known.find(output);
      GRAFT_CHECK(known != b_.known.end(), "nothing gives the program's output '", output, "'");
      GRAFT_CHECK(!known->second.stale, "its output '", output,
                  "' was changed in place through another view of the same memory");
      io::onnx::ValueInfo info;
      info.name = known->second.value;
      b_.model.graph.outputs.push_back(std::move(info));
    }
    GRAFT_CHECK(!b_.model.graph.outputs.empty(), "the program gives no tensor");
  }

  void say() {
    auto& notes = b_.model.notes;
    if (b_.trained_norms > 0)
      notes.push_back(str(b_.trained_norms,
                          " batch norms were exported in training mode; they use their stored "
                          "statistics, and a batch's own only while graft trains them"));
    if (b_.left_noise > 0)
      notes.push_back(str(b_.left_noise,
                          " random operators of a program exported in training mode (random depth, "
                          "dropout of channels) are left out"));
    if (b_.followed_batches > 0)
      notes.push_back(str("the program was exported for batches of ", b_.batch, "; ",
                          b_.followed_batches,
                          " tensors that it repeats so often are repeated for each image "
                          "(guessed)"));
  }

  const ExportedProgram& program_;
  Building b_;
  aten::SharedMemory memory_;
  std::vector<std::string> titles_;
};

}  // namespace

namespace aten {

AtenName aten_name(const std::string& target) {
  AtenName name;
  constexpr std::string_view aten = "torch.ops.aten.", python = "_operator.";
  if (target.starts_with(python)) return {"operator." + target.substr(python.size()), false};
  if (!target.starts_with(aten)) return {target, false};
  name.name = target.substr(aten.size());
  name.name = name.name.substr(0, name.name.find('.'));
  if (name.name.size() > 1 && name.name.ends_with('_') && !name.name.ends_with("__")) {
    name.name.pop_back();
    name.in_place = true;
  }
  return name;
}

const AtenOperator* find_aten(const std::string& name) {
  static const std::map<std::string, const AtenOperator*, std::less<>> operators = [] {
    std::map<std::string, const AtenOperator*, std::less<>> all;
    for (const AtenTable table : {aten_layers(), aten_pools(), aten_elementwise(), aten_shapes(),
                                  aten_movement(), aten_products(), aten_sizes()})
      for (const AtenOperator& op : table) {
        const bool is_first = all.emplace(op.name, &op).second;
        GRAFT_ASSERT(is_first);
      }
    return all;
  }();
  const auto found = operators.find(name);
  return found == operators.end() ? nullptr : found->second;
}

}  // namespace aten

io::onnx::Model onnx_graph(const ExportedProgram& program) {
  try {
    return AtenTranslation(program)();
  } catch (const Error& error) {
    throw error.with_context(program.path);
  }
}

}  // namespace graft::models
