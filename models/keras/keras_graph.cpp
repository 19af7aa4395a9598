#include "graft/models/keras/keras_graph.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "graft/core/base/error.h"
#include "graft/io/weights/hdf5.h"
#include "graft/models/naming/keras_images.h"

namespace graft::models::keras {
namespace {

using io::onnx::ElementType;
using Values = std::vector<Value>;

bool is_input(const Layer& layer) { return layer.kind == "InputLayer"; }

template <class Use>
void each_layer(const Network& network, const Use& use) {
  for (const Layer& layer : network.layers) {
    use(layer);
    if (layer.network) each_layer(*layer.network, use);
  }
}

// Every layer that graft does not know, in one sentence.
void check_layers(const Network& network) {
  std::set<std::string> seen;
  std::vector<std::string> unknown;
  each_layer(network, [&](const Layer& layer) {
    if (layer.network || is_input(layer) || find_layer(layer) || !seen.insert(layer.kind).second)
      return;
    unknown.push_back(str(layer.kind, " '", layer.name, "'",
                          layer.kind == "Lambda" ? " (Python code, which graft does not run)"
                          : layer.custom         ? " (a custom class, Python code)"
                                                 : ""));
  });
  constexpr size_t named = 12;
  const size_t more = unknown.size() > named ? unknown.size() - named : 0;
  unknown.resize(unknown.size() - more);
  GRAFT_CHECK(unknown.empty(), "the model has layers that graft does not know: ", join(unknown),
              more > 0 ? str(" and ", more, " more") : "",
              "; exported to ONNX it may run as a graph");
}

ElementType element_type_of(const LayerSettings& input) {
  const std::string type = input.is_text("dtype") ? input.text("dtype", "float32") : "float32";
  if (type == "uint8") return ElementType::uint8;
  if (type == "int32") return ElementType::int32;
  if (type == "int64") return ElementType::int64;
  return ElementType::float32;
}

std::vector<int64_t> input_shape_of(const LayerSettings& settings) {
  for (const char* key : {"batch_shape", "batch_input_shape"})
    if (const auto shape = settings.shape(key)) return *shape;
  return {};
}

// A policy of other floating types than float32, or of integers.
std::string policy_of(const LayerSettings& settings) {
  if (settings.is_text("dtype")) return settings.text("dtype", "");
  return settings.within("dtype").within("config").text("name", "float32");
}

class GraphWriter {
 public:
  GraphWriter(const Description& description, Variables& variables)
      : description_(description), variables_(variables) {}

  KerasGraph operator()() {
    const Network& network = description_.network;
    check_layers(network);
    each_layer(network, [&](const Layer& layer) {
      channels_first_ =
          channels_first_ || (layer.settings.is_text("data_format") &&
                              layer.settings.text("data_format", "") == "channels_first");
      note_policy(layer);
    });
    Values inputs = network.sequential ? Values{sequential_input(network)} : functional_inputs();
    input_values_ = inputs;
    const Values outputs = run_network(network, LayerPath{}, inputs);
    finish(outputs);
    return std::move(result_);
  }

 private:
  void note_policy(const Layer& layer) {
    if (layer.network || is_input(layer)) return;
    const std::string policy = policy_of(layer.settings);
    GRAFT_CHECK(policy.find("int8") == std::string::npos &&
                    policy.find("int4") == std::string::npos &&
                    policy.find("float8") == std::string::npos,
                "the layer '", layer.name, "' is quantized (", policy.substr(0, 40),
                "): quantized Keras models are not read");
    if (!policy.empty() && policy != "float32" && policy != "mixed_float32")
      policies_.insert(policy.substr(0, 40));
  }

  // --- inputs ---

  Value add_input(const std::string& name, std::vector<int64_t> shape, ElementType type) {
    GRAFT_CHECK(shape.size() >= 2 && shape.size() <= 5, "the input '", name, "' has ", shape.size(),
                " axes, the batch included");
    for (size_t axis = 1; axis < shape.size(); ++axis)
      GRAFT_CHECK(shape[axis] != 0 && shape[axis] <= 1'000'000, "the input '", name,
                  "' has an axis of ", shape[axis]);
    shape[0] = -1;
    Value value{.name = result_input_name(name), .dims = std::move(shape)};
    value.channels_first = value.rank() == 4 && !channels_first_;
    value.of_image = value.rank() == 4;
    types_.push_back(type);
    if (value.rank() == 4 && images_.image_size == 0) {
      const size_t at = channels_first_ ? 2 : 1;
      const int64_t height = value.dims[at], width = value.dims[at + 1];
      if (height > 0 && width > 0) images_.image_size = height, images_.image_width = width;
    }
    return value;
  }

  std::string result_input_name(const std::string& name) { return writer_.input(name); }

  Value sequential_input(const Network& network) {
    std::vector<int64_t> shape;
    ElementType type = ElementType::float32;
    std::string name = "input";
    for (const Layer* layer = network.layers.empty() ? nullptr : &network.layers[0];
         layer && shape.empty();
         layer = layer->network && !layer->network->layers.empty() ? &layer->network->layers[0]
                                                                   : nullptr) {
      shape = layer->network ? layer->network->input_shape : input_shape_of(layer->settings);
      if (is_input(*layer)) name = layer->name, type = element_type_of(layer->settings);
    }
    if (shape.empty()) shape = network.input_shape;
    GRAFT_CHECK(!shape.empty(), "the model does not say the shape of its input");
    return add_input(name, shape, type);
  }

  Values functional_inputs() {
    Values inputs;
    for (const Argument& input : description_.network.inputs) {
      const auto layer =
          std::find_if(description_.network.layers.begin(), description_.network.layers.end(),
                       [&](const Layer& l) { return l.name == input.layer; });
      GRAFT_CHECK(layer != description_.network.layers.end() && is_input(*layer), "the input '",
                  input.layer, "' is no layer of the model");
      const std::vector<int64_t> shape = input_shape_of(layer->settings);
      GRAFT_CHECK(!shape.empty(), "the input '", input.layer, "' has no shape");
      inputs.push_back(add_input(input.layer, shape, element_type_of(layer->settings)));
    }
    GRAFT_CHECK(!inputs.empty(), "the model has no inputs");
    return inputs;
  }

  // --- layers ---

  Value run_layer(const Layer& layer, const LayerPath& path, const Values& inputs,
                  const Call* call) {
    GRAFT_CHECK(!inputs.empty(), "the layer '", path.text(), "' is given nothing");
    writer_.begin(path.text());
    LayerCall running{
        layer, path, inputs, writer_, variables_, result_.findings, description_.generation, call};
    try {
      if (call && !call->refused.empty())
        bad_input("is called with ", call->refused, ", which graft does not know");
      Value result = find_layer(layer)->run(running);
      writer_.end(result);
      const bool acts_in_training = call && call->training &&
                                    (layer.kind.find("Dropout") != std::string::npos ||
                                     layer.kind.find("BatchNormalization") != std::string::npos);
      if (acts_in_training) in_training_.push_back(path.text());
      return result;
    } catch (const Error& error) {
      throw error.with_context(running.title());
    }
  }

  LayerPath path_in(const LayerPath& around, const Layer& layer) const {
    LayerPath path = around;
    path.names.push_back(layer.name);
    path.key = layer.key;
    return path;
  }

  Values run_any(const Layer& layer, const LayerPath& around, const Values& inputs,
                 const Call* call) {
    const LayerPath path = path_in(around, layer);
    if (layer.network) return run_network(*layer.network, path, inputs);
    return {run_layer(layer, path, inputs, call)};
  }

  Values run_network(const Network& network, const LayerPath& path, const Values& inputs) {
    GRAFT_CHECK(++runs_ <= kMostRuns, "the model calls models within it more than ", kMostRuns,
                " times");
    if (!network.sequential) return run_functional(network, path, inputs);
    Values values = inputs;
    for (const Layer& layer : network.layers) {
      if (is_input(layer)) continue;
      GRAFT_CHECK(values.size() == 1, "the layer '", layer.name,
                  "' of a sequential model is given ", values.size(), " values");
      values = run_any(layer, path, values, nullptr);
    }
    return values;
  }

  // The calls in an order in which they can run.
  Values run_functional(const Network& network, const LayerPath& path, const Values& inputs) {
    GRAFT_CHECK(inputs.size() == network.inputs.size(), "the model '", network.name, "' takes ",
                network.inputs.size(), " inputs, and is given ", inputs.size());
    using Key = std::pair<std::string, int64_t>;
    std::map<Key, Values> results;
    for (size_t i = 0; i < inputs.size(); ++i)
      results[{network.inputs[i].layer, network.inputs[i].call}] = {inputs[i]};
    struct Pending {
      const Layer* layer;
      const Call* call;
      Key key;
      size_t missing;
    };
    std::vector<Pending> pending;
    std::map<Key, std::vector<size_t>> readers;
    for (const Layer& layer : network.layers)
      for (size_t i = 0; i < layer.calls.size(); ++i) {
        const Key key{layer.name, static_cast<int64_t>(i)};
        if (is_input(layer) || results.contains(key)) continue;
        Pending call{&layer, &layer.calls[i], key, 0};
        for (const Argument& argument : layer.calls[i].arguments) {
          const Key source{argument.layer, argument.call};
          if (argument.layer.empty() || results.contains(source)) continue;
          readers[source].push_back(pending.size());
          ++call.missing;
        }
        pending.push_back(call);
      }
    std::set<size_t> ready;  // in the file's order
    for (size_t i = 0; i < pending.size(); ++i)
      if (pending[i].missing == 0) ready.insert(i);
    while (!ready.empty()) {
      const Pending& call = pending[*ready.begin()];
      ready.erase(ready.begin());
      Values arguments;
      for (const Argument& argument : call.call->arguments)
        if (!argument.layer.empty()) arguments.push_back(value_of_argument(results, argument));
      results[call.key] = run_any(*call.layer, path, arguments, call.call);
      for (const size_t reader : readers[call.key])
        if (--pending[reader].missing == 0) ready.insert(reader);
    }
    Values outputs;
    for (const Argument& output : network.outputs)
      outputs.push_back(value_of_argument(results, output));
    return outputs;
  }

  static const Value& value_of_argument(
      const std::map<std::pair<std::string, int64_t>, Values>& results, const Argument& argument) {
    const auto found = results.find({argument.layer, argument.call});
    GRAFT_CHECK(found != results.end(), "nothing gives the value of the layer '", argument.layer,
                "', call ", argument.call, ": its connections form a cycle or lead nowhere");
    GRAFT_CHECK(argument.output >= 0 && argument.output < std::ssize(found->second), "the layer '",
                argument.layer, "' has no output ", argument.output);
    return found->second[static_cast<size_t>(argument.output)];
  }

  // --- the end ---

  void finish(Values outputs) {
    std::set<std::string> seen;
    for (size_t i = 0; i < outputs.size(); ++i) {
      Value& output = outputs[i];
      const bool is_given =
          std::any_of(input_values_.begin(), input_values_.end(),
                      [&](const Value& input) { return input.name == output.name; });
      if (!is_given && seen.insert(output.name).second) continue;
      writer_.begin(str("output_", i));
      output.name = writer_.node("Identity", {output.name});
    }
    GRAFT_CHECK(writer_.has_nodes(), "the model has no layers that compute anything");
    if (!result_.findings.image_steps.empty()) {
      const Renamed& geometry = result_.findings.images;
      Value& image = input_values_.at(0);
      const size_t at = channels_first_ ? 2 : 1;
      image.dims[at] = geometry.image_size;
      image.dims[at + 1] = geometry.image_width;
    }
    result_.model = writer_.take(input_values_, types_, outputs);
    result_.description = description_;
    variables_.leftovers(result_.unused, result_.beside);
    note_findings();
  }

  void note(std::string text) { result_.findings.notes.push_back(std::move(text)); }

  void note_findings() {
    Findings& f = result_.findings;
    if (!f.augmenting.empty())
      note(str("layers that vary images in training are left out: ", join(f.augmenting),
               "; --augment has graft's own"));
    if (!f.noise.empty())
      note(str("layers that act in training only and that graft does not have are left out: ",
               join(f.noise)));
    if (!f.whole_maps.empty())
      note(str("dropouts of whole maps (", join(f.whole_maps),
               ") drop single numbers where graft trains them"));
    if (!f.filled_norms.empty())
      note(str(f.filled_norms.size(), f.filled_norms.size() == 1 ? " norm has" : " norms have",
               " no scale or no shift of their own (", f.filled_norms[0],
               f.filled_norms.size() > 1 ? " ..." : "",
               "): graft's have, at 1 and 0, and train them"));
    if (!in_training_.empty())
      note(str("called with training=True in Keras, also to predict: ", join(in_training_),
               "; graft drops numbers and takes a batch's statistics only while it trains"));
    if (!policies_.empty())
      note(str("the model computes in ",
               join(std::vector<std::string>(policies_.begin(), policies_.end())),
               "; here in float32"));
    for (const std::string& text : f.images.notes) note(text);
  }

  static constexpr int64_t kMostRuns = 1000;
  const Description& description_;
  Variables& variables_;
  Writer writer_;
  KerasGraph result_;
  Renamed& images_ = result_.findings.images;
  Values input_values_;
  std::vector<ElementType> types_;
  std::set<std::string> policies_;
  std::vector<std::string> in_training_;
  bool channels_first_ = false;
  int64_t runs_ = 0;
};

}  // namespace

bool has_description(const io::WeightFile& file) {
  return file.metadata.contains(io::kKerasConfigKey);
}

KerasGraph write_graph(const Description& description, Variables& variables) {
  return GraphWriter(description, variables)();
}

KerasGraph read_keras_graph(const io::WeightFile& file) {
  const auto version = file.metadata.find(io::kKerasVersionKey);
  const Description description = read_description(
      file.metadata.at(io::kKerasConfigKey), version == file.metadata.end() ? "" : version->second);
  Variables variables(file);
  KerasGraph graph = write_graph(description, variables);
  graph.model.path = file.path;
  return graph;
}

}  // namespace graft::models::keras
