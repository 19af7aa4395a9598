#include "graft/models/graph/graph_module.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/modules/dropout.h"
#include "graft/models/graph/graph_program.h"
#include "graft/models/graph/work_limit.h"

namespace graft::models {
namespace {

using graph::Layout;
using graph::OpCall;
using graph::OpOutputs;

constexpr const char* kPoolStage = "pool";  // with a number where the graph has one

// The module that holds a stage's tensors; a layer may have the stage's own name.
std::string holder_of(const std::string& stage) { return "stage " + stage; }

// Holds a stage's tensors and norms; it computes nothing itself.
class GraphStage final : public Module {
 public:
  GraphStage() { mark_run_by_parts(); }
  Tensor forward(const Tensor&) override {
    bad_input("a stage of a graph runs as part of its graph");
  }
  const Tensor& hold(const GraphTensor& tensor) {
    const bool is_ordered =
        !tensor.value.defined() || tensor.value.format() == MemoryFormat::contiguous;
    const Tensor value = !is_ordered ? tensor.value.detach().to(MemoryFormat::contiguous)
                         : tensor.value.defined()
                             ? tensor.value
                             : Tensor::zeros(tensor.shape, {.dtype = tensor.dtype});
    return tensor.role == TensorRole::parameter ? register_parameter(tensor.name, value)
                                                : register_buffer(tensor.name, value);
  }
  Module* hold_dropout(const std::string& name, double ratio) {
    return register_nameless_module(name, std::make_shared<Dropout>(ratio)).get();
  }
  BatchNorm2d* hold_norm(const std::string& name, const BatchNorm2dOptions& options) {
    return register_nameless_module(name, std::make_shared<BatchNorm2d>(options)).get();
  }
};

// Where an operator's values meet: the first device among the inputs that are not read as numbers,
// else the host.
Device meeting_place(const graph::Operator& op, std::span<const Tensor> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined() && !op.reads_number(i) && !is_cpu(inputs[i].device()))
      return inputs[i].device();
  return {};
}

}  // namespace

GraphModule::GraphModule(const GraphSource& source) : program_(std::make_unique<Program>()) {
  Program& p = *program_;
  p.inputs = source.inputs;
  p.outputs = source.outputs;
  std::unordered_map<std::string, int> numbers;
  const auto number = [&](const std::string& name) {
    const auto [found, is_first] = numbers.emplace(name, p.values());
    if (is_first) {
      p.constants.push_back(nullptr);
      p.names.push_back(name);
    }
    return found->second;
  };
  const auto number_once = [&](const std::string& name) {
    GRAFT_CHECK(!numbers.contains(name), "the graph has '", name, "' twice");
    return number(name);
  };
  GRAFT_CHECK(!source.outputs.empty(), "the graph has no outputs");
  for (const GraphInput& input : source.inputs) p.input_values.push_back(number_once(input.name));
  for (const GraphTensor& tensor : source.tensors) number_once(tensor.name);
  for (const io::onnx::Node& node : source.nodes) {
    Step step{.node = node, .op = graph::find_operator(node.domain, node.op_type)};
    GRAFT_CHECK(step.op != nullptr, graph::title_of(node),
                ": an operator that graft does not know");
    const auto opset = source.opsets.find(node.domain);
    if (opset != source.opsets.end()) step.opset = opset->second;
    for (const std::string& name : node.inputs) {
      GRAFT_CHECK(name.empty() || numbers.contains(name), graph::title_of(node),
                  ": nothing gives its input '", name, "'");
      step.inputs.push_back(name.empty() ? kNoValue : number(name));
    }
    for (const std::string& name : node.outputs) {
      GRAFT_CHECK(name.empty() || !numbers.contains(name), graph::title_of(node), ": its output '",
                  name, "' is given twice");
      step.outputs.push_back(name.empty() ? kNoValue : number(name));
    }
    p.steps.push_back(std::move(step));
  }
  for (const std::string& name : source.outputs) {
    GRAFT_CHECK(numbers.contains(name), "nothing gives the graph's output '", name, "'");
    p.output_values.push_back(number(name));
  }
  if (p.inputs.size() == 1 && !p.inputs[0].dims.empty() && p.inputs[0].dims[0] > 0)
    p.declared_batch = p.inputs[0].dims[0];
  p.copies.resize(p.constants.size());
  build_stages(source);
  register_tensors(source);
  fuse_steps();
}

GraphModule::~GraphModule() = default;

// Stage ends: behind a step, exactly one computed value is still to be read.
void GraphModule::build_stages(const GraphSource& source) {
  Program& p = *program_;
  std::vector<bool> constant(p.constants.size()), needed(p.constants.size()),
      read_later(p.constants.size());
  size_t at = p.inputs.size();  // constants are numbered behind the inputs
  for (size_t i = 0; i < source.tensors.size(); ++i) constant[at++] = true;
  needed[static_cast<size_t>(p.output_values[0])] = true;
  for (size_t i = p.steps.size(); i-- > 0;) {
    Step& step = p.steps[i];
    for (const int v : step.outputs)
      step.for_first_output =
          step.for_first_output || (v != kNoValue && needed[static_cast<size_t>(v)]);
    for (const int v : step.inputs)
      if (v != kNoValue && step.for_first_output) needed[static_cast<size_t>(v)] = true;
  }
  for (const int v : p.output_values) read_later[static_cast<size_t>(v)] = true;
  std::vector<size_t> last_reader(p.constants.size(),
                                  0);  // among the steps for the first output, counted from 1
  for (size_t i = p.steps.size(); i-- > 0;)
    for (const int v : p.steps[i].inputs) {
      if (v == kNoValue) continue;
      const auto value = static_cast<size_t>(v);
      if (p.steps[i].for_first_output) last_reader[value] = std::max(last_reader[value], i + 1);
      if (!read_later[value] && !constant[value]) p.steps[i].last_uses.push_back(v);
      read_later[value] = true;
    }
  last_reader[static_cast<size_t>(p.output_values[0])] = p.steps.size() + 1;
  std::vector<int> live = p.input_values;
  size_t begin = 0;
  std::unordered_set<std::string> taken;  // a chain of nodes has as many stages as nodes: nothing
                                          // here may take the square of that
  size_t next = 0;
  const auto close = [&](size_t end, int value, std::string name) {
    next = std::max(next, stages_.size());
    while (name.empty() || !taken.insert(name).second) name = str("stage", next++);
    stages_.push_back(std::move(name));
    p.stages.push_back({begin, end, value});
    begin = end;
  };
  const std::unordered_set<std::string> ends(source.stage_ends.begin(), source.stage_ends.end());
  const auto wanted = [&](const std::string& value) {
    return ends.empty() || ends.contains(value);
  };
  for (size_t i = 0; i < p.steps.size(); ++i) {
    const Step& step = p.steps[i];
    if (!step.for_first_output) continue;
    for (const int v : step.outputs)
      if (v != kNoValue) live.push_back(v);
    std::erase_if(live, [&](int v) { return last_reader[static_cast<size_t>(v)] <= i + 1; });
    const bool is_last = live.size() == 1 && live[0] == p.output_values[0];
    if (live.size() != 1 ||
        std::find(step.outputs.begin(), step.outputs.end(), live[0]) == step.outputs.end())
      continue;
    const auto output = static_cast<size_t>(
        std::find(step.outputs.begin(), step.outputs.end(), live[0]) - step.outputs.begin());
    if (is_last || wanted(step.node.outputs[output]))
      close(is_last ? p.steps.size() : i + 1, live[0],
            step.node.name.empty() ? step.node.outputs[output] : step.node.name);
    if (is_last) break;
  }
  if (p.stages.empty() || p.stages.back().value != p.output_values[0])
    close(p.steps.size(), p.output_values[0], "graph");
}

void GraphModule::register_tensors(const GraphSource& source) {
  Program& p = *program_;
  std::unordered_map<int, int> readers;
  for (const Step& step : p.steps)
    for (const int v : step.inputs) ++readers[v];
  const size_t first_constant = p.inputs.size();
  const auto tensor_of_value = [&](int value) -> const GraphTensor* {
    const size_t index = static_cast<size_t>(value) - first_constant;
    return value != kNoValue && static_cast<size_t>(value) >= first_constant &&
                   index < source.tensors.size()
               ? &source.tensors[index]
               : nullptr;
  };
  std::vector<std::shared_ptr<GraphStage>> holders;
  for (const std::string& name : stages_)
    holders.push_back(register_nameless_module(holder_of(name), std::make_shared<GraphStage>()));
  size_t stage = 0;
  std::map<std::string, int> used;
  const auto layer_name = [&](const io::onnx::Node& node) {
    const std::string name = node.name.empty() ? node.outputs[0] : node.name;
    const int count = used[name]++;
    return count == 0 ? name : str(name, "_", count);
  };
  const graph::RunMode mode;
  for (size_t i = 0; i < p.steps.size(); ++i) {
    while (stage + 1 < p.stages.size() && i >= p.stages[stage].end) ++stage;
    Step& step = p.steps[i];
    if (step.node.op_type == "Dropout" && step.outputs.size() == 1) {
      const GraphTensor* ratio = step.inputs.size() > 1 ? tensor_of_value(step.inputs[1]) : nullptr;
      const OpCall call(step.node, step.opset, {}, mode);
      if (step.inputs.size() == 1 ||
          (step.inputs.size() < 4 && ratio && ratio->value.defined() && ratio->value.numel() == 1))
        step.dropout = holders[stage]->hold_dropout(
            layer_name(step.node), ratio ? ratio->value.item() : call.real("ratio", 0.5));
    }
    // A batch norm with four tensors of its own becomes a module, which freezing and statistics
    // know.
    bool own = step.node.op_type == "BatchNormalization" && step.inputs.size() == 5 &&
               step.node.outputs.size() == 1;
    for (size_t input = 1; own && input < 5; ++input) {
      const GraphTensor* tensor = tensor_of_value(step.inputs[input]);
      own = tensor && readers[step.inputs[input]] == 1 && tensor->dtype == DType::f32 &&
            tensor->shape.rank() == 1 && tensor->shape == tensor_of_value(step.inputs[1])->shape &&
            tensor->shape.numel() > 0;
    }
    const auto* training_mode = step.node.find("training_mode");
    const auto* spatial = step.node.find("spatial");
    if (own && !(training_mode && training_mode->i != 0) && !(spatial && spatial->i == 0)) {
      const OpCall call(step.node, step.opset, {}, mode);
      BatchNorm2dOptions options{.channels = tensor_of_value(step.inputs[1])->shape[0],
                                 .eps = call.real("epsilon", 1e-5),
                                 .momentum = 1 - call.real("momentum", 0.9)};
      const std::string name = layer_name(step.node);
      for (size_t input = 1; input < 5; ++input) {
        const GraphTensor& tensor = *tensor_of_value(step.inputs[input]);
        options.names[input - 1] = tensor.name;
      }
      options.names[4].clear();
      step.norm = holders[stage]->hold_norm(name, options);
      const Tensor targets[] = {step.norm->weight(), step.norm->bias(), step.norm->running_mean(),
                                step.norm->running_var()};
      for (size_t input = 1; input < 5; ++input)
        if (const Tensor& value = tensor_of_value(step.inputs[input])->value; value.defined())
          Tensor(targets[input - 1]).copy_from(value);
      continue;
    }
    for (const int v : step.inputs)
      if (const GraphTensor* tensor = tensor_of_value(v);
          tensor && !p.constants[static_cast<size_t>(v)])
        p.constants[static_cast<size_t>(v)] = &holders[stage]->hold(*tensor);
  }
  for (const int v : p.output_values)
    if (const GraphTensor* tensor = tensor_of_value(v);
        tensor && !p.constants[static_cast<size_t>(v)])
      p.constants[static_cast<size_t>(v)] = &holders.back()->hold(*tensor);
}

const std::vector<GraphInput>& GraphModule::inputs() const { return program_->inputs; }
const std::vector<std::string>& GraphModule::outputs() const { return program_->outputs; }

// Numbers to the host, all else to where the first value lies: shapes stay with the host, so that
// nobody waits for a device.
void GraphModule::place_inputs(std::span<const int> numbers, const graph::Operator& op,
                               std::vector<Tensor>& inputs) {
  const Device device = meeting_place(op, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Device wanted = op.reads_number(i) ? Device{} : device;
    if (!inputs[i].defined() || inputs[i].device() == wanted) continue;
    GRAFT_CHECK(op.reads_number(i) || !needs_grad(inputs[i]), "its input ", i,
                " is a parameter on ", inputs[i].device(), ", others are on ", wanted);
    const auto value = static_cast<size_t>(numbers[i]);
    inputs[i] = program_->constants[value] ? program_->copies[value].of(inputs[i], wanted)
                                           : to_device(inputs[i], wanted);
  }
}

Tensor GraphModule::run_norm(const Step& step, std::span<const Tensor> inputs,
                             const functional::BatchStatistics& statistics) {
  const Tensor& x = inputs[0];
  if (!step.adds) return step.norm->normalise(x, step.relu, {}, statistics);
  const Tensor other =
      inputs[1].rank() == 4 ? functional::to_format(inputs[1], x.format()) : inputs[1];
  if (other.shape() == x.shape() && other.dtype() == x.dtype())
    return step.norm->normalise(x, step.relu, other, statistics);
  const Tensor sum = functional::add(step.norm->normalise(x, false, {}, statistics), other);
  return step.relu ? functional::relu(sum) : sum;
}

void GraphModule::run_steps(size_t begin, size_t end, std::vector<Tensor>& values,
                            bool only_first_output) {
  Program& p = *program_;
  graph::RunMode mode;
  mode.declared_batch = p.declared_batch;
  std::vector<Tensor> inputs;
  std::map<int, functional::BatchStatistics> statistics;  // by value, of a norm behind it
  for (size_t i = begin; i < end; ++i) {
    if (only_first_output && !p.steps[i].for_first_output) continue;
    const auto is_fused = [&](size_t last) {
      return last < end && p.steps[last].fused && p.steps[last].fused_from >= begin;
    };
    if (is_fused(p.steps[i].absorbed_by)) continue;
    const Step& step = is_fused(i) ? *p.steps[i].fused : p.steps[i];
    try {
      inputs.clear();
      MemoryFormat uniform = MemoryFormat::contiguous;
      bool found = false;
      for (const int v : step.inputs) {
        const Tensor* constant = v == kNoValue ? nullptr : p.constants[static_cast<size_t>(v)];
        inputs.push_back(v == kNoValue ? Tensor()
                         : constant    ? *constant
                                       : values[static_cast<size_t>(v)]);
        if (!found && v != kNoValue && !constant && inputs.back().defined() &&
            inputs.back().rank() == 4) {
          uniform = inputs.back().format();
          found = true;
        }
      }
      place_inputs(step.inputs, *step.op, inputs);
      for (size_t k = 0; k < inputs.size(); ++k) {
        if (!inputs[k].defined() || inputs[k].rank() != 4 || step.op->layout == Layout::any)
          continue;
        const bool is_weight = step.op->layout == Layout::images && k > 0;
        if (!is_weight)
          inputs[k] = functional::to_format(
              inputs[k], step.op->layout == Layout::images    ? MemoryFormat::channels_last
                         : step.op->layout == Layout::uniform ? uniform
                                                              : MemoryFormat::contiguous);
      }
      mode.statistics = step.norm_behind && step.norm_behind->normalises_by_batch()
                            ? &statistics[step.outputs[0]]
                            : nullptr;
      const OpCall call(step.node, step.opset, inputs, mode);
      graph::charge_work(step.norm || step.dropout ? graph::work_of_elements(inputs)
                                                   : graph::work_of(call));
      const OpOutputs outputs = step.norm
                                    ? OpOutputs{run_norm(step, inputs, statistics[step.inputs[0]])}
                                : step.dropout ? OpOutputs{(*step.dropout)(inputs.at(0))}
                                               : step.op->run(call);
      graph::charge_work(graph::work_of_elements(outputs));
      for (size_t k = 0; k < step.outputs.size(); ++k) {
        if (step.outputs[k] == kNoValue) continue;
        GRAFT_CHECK(k < outputs.size() && outputs[k].defined(), "its output ", k,
                    " is not supported");
        values[static_cast<size_t>(step.outputs[k])] = outputs[k];
      }
    } catch (const Error& error) {
      throw error.with_context(graph::title_of(step.node));
    }
    for (const int v : step.last_uses) values[static_cast<size_t>(v)] = Tensor();
  }
}

Tensor input_on(const Tensor& input, Device device) {
  return input.defined() && (is_floating(input.dtype()) || input.rank() > 1)
             ? to_device(input, device)
             : input;
}

std::vector<Tensor> GraphModule::run(std::span<const Tensor> inputs) {
  Program& p = *program_;
  GRAFT_CHECK(inputs.size() == p.inputs.size(), "the graph has ", p.inputs.size(), " inputs, ",
              inputs.size(), " were given");
  std::vector<Tensor> values(p.constants.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    values[static_cast<size_t>(p.input_values[i])] = inputs[i];
  run_steps(0, p.steps.size(), values, false);
  std::vector<Tensor> outputs;
  for (const int v : p.output_values)
    outputs.push_back(p.constants[static_cast<size_t>(v)] ? *p.constants[static_cast<size_t>(v)]
                                                          : values[static_cast<size_t>(v)]);
  return outputs;
}

Tensor GraphModule::forward_stages(const Tensor& x, size_t begin, size_t end) {
  Program& p = *program_;
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  GRAFT_CHECK(p.inputs.size() == 1, "the graph has ", p.inputs.size(),
              " inputs, expected one image");
  Tensor y = x;
  const size_t graph_end = std::min(end, p.stages.size());
  if (begin < graph_end) {
    std::vector<Tensor> values(p.constants.size());
    values[static_cast<size_t>(begin == 0 ? p.input_values[0] : p.stages[begin - 1].value)] = x;
    run_steps(p.stages[begin].begin, p.stages[graph_end - 1].end, values, true);
    y = values[static_cast<size_t>(p.stages[graph_end - 1].value)];
  }
  if (end == stages_.size() && end == p.stages.size() && y.rank() == 4 &&
      y.size(2) * y.size(3) == 1)
    return functional::flatten(y);
  for (size_t stage = std::max(begin, p.stages.size()); stage < end; ++stage) {
    if (stage > p.stages.size())
      y = (*head_)(y);
    else if (y.rank() > 2)
      y = functional::flatten(functional::global_average_pool(y));
  }
  return y;
}

std::vector<std::string> GraphModule::stage_paths(size_t stage) const {
  const std::string& name = stages_.at(stage);
  if (stage == program_->stages.size()) return {};  // the pool
  return {stage < program_->stages.size() ? holder_of(name) : name};
}

const std::string& GraphModule::stage_value(size_t stage) const {
  GRAFT_CHECK(stage < program_->stages.size(), "stage ", stage, " is none of the graph's");
  return program_->names[static_cast<size_t>(program_->stages[stage].value)];
}

void GraphModule::put_pool() {
  std::string name = kPoolStage;
  for (int i = 1; std::find(stages_.begin(), stages_.end(), name) != stages_.end(); ++i)
    name = str(kPoolStage, "_", i);
  stages_.push_back(name);
}

void GraphModule::put_head(int64_t features, int64_t classes) {
  GRAFT_CHECK(features >= 1 && classes >= 1, "a head from ", features, " features to ", classes,
              " classes");
  GRAFT_CHECK(!find(kGraphHead), "the graph has a layer named '", kGraphHead,
              "', which graft's own head would need");
  const StateDict tensors = state_dict();
  for (const char* name : {"head.weight", "head.bias"})
    GRAFT_CHECK(!tensors.contains(name), "the graph has a tensor named '", name,
                "', which graft's own head would need");
  put_pool();
  head_ = register_module(kGraphHead, std::make_shared<Linear>(features, classes));
  stages_.push_back(kGraphHead);
}

GraphModule::GraphModule(const GraphConfig& config) : GraphModule(*config.source) {
  if (config.own_head)
    put_head(config.features, config.classes);
  else if (config.pooled)
    put_pool();
}

}  // namespace graft::models
