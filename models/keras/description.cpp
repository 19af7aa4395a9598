#include "graft/models/keras/description.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/io/json.h"
#include "graft/models/naming/keras_layers.h"

namespace graft::models::keras {
namespace {

using nlohmann::json;

constexpr int kMostNesting = 12;  // of models
constexpr size_t kMostNameBytes = 256;
constexpr int64_t kMostLayers = 20'000, kMostCalls = 50'000, kMostArguments = 200'000;

const json* member_of(const json& j, const char* key) {
  if (!j.is_object()) return nullptr;
  const auto found = j.find(key);
  return found == j.end() || found->is_null() ? nullptr : &*found;
}

std::string word_of(const json& j, const char* key) {
  const json* value = member_of(j, key);
  return value && value->is_string() ? value->get<std::string>() : "";
}

bool is_model(const std::string& kind) {
  return kind == "Functional" || kind == "Model" || kind == "Sequential";
}

// [name, call, output], what follows aside.
std::optional<Argument> reference_of(const json& j) {
  if (!j.is_array() || j.size() < 3 || !j[0].is_string() || !j[1].is_number_integer() ||
      !j[2].is_number_integer())
    return std::nullopt;
  const auto small = [](const json& number) {
    const double value = number.get<double>();
    return value >= -1 && value < 1e6 ? static_cast<int64_t>(value) : int64_t{-2};
  };
  return Argument{.layer = j[0].get<std::string>(), .call = small(j[1]), .output = small(j[2])};
}

class DescriptionReader {
 public:
  Description operator()(const json& root, const std::string& version) {
    result_.version = version;
    result_.kind = word_of(root, "class_name");
    const json* config = member_of(root, "config");
    GRAFT_CHECK(is_model(result_.kind) && config,
                result_.kind.empty()
                    ? str("the Keras configuration describes no model")
                    : str("the model is of the class '", result_.kind,
                          "', whose layers are put together by Python code; only functional and "
                          "sequential models have their architecture in the file"));
    result_.generation =
        !version.empty() ? (version[0] == '3' ? 3 : 2)
        : root.dump(-1, ' ', true).find("\"batch_input_shape\"") != std::string::npos ? 2
                                                                                      : 3;
    result_.network = read_network(result_.kind, *config, "", 0);
    if (result_.network.input_shape.empty())
      if (const json* build = member_of(root, "build_config"))
        result_.network.input_shape = shape_at(*build, "input_shape");
    return std::move(result_);
  }

 private:
  static std::vector<int64_t> shape_at(const json& j, const char* key) {
    return LayerSettings(j.dump(-1, ' ', true)).shape(key).value_or(std::vector<int64_t>());
  }

  Network read_network(const std::string& kind, const json& config, const std::string& key,
                       int depth) {
    GRAFT_CHECK(depth < kMostNesting, "its models nest deeper than ", kMostNesting);
    Network network;
    network.sequential = kind == "Sequential";
    network.name = word_of(config, "name");
    const json* layers = config.is_array() ? &config : member_of(config, "layers");
    GRAFT_CHECK(layers && layers->is_array(), "the model '", network.name, "' lists no layers");
    if (network.sequential) network.input_shape = shape_at(config, "build_input_shape");
    std::map<std::string, int> seen;
    for (const json& entry : *layers)
      network.layers.push_back(read_layer(entry, key, seen, network.sequential, depth));
    if (network.sequential) return network;
    read_ends(config, "input_layers", network.inputs);
    read_ends(config, "output_layers", network.outputs);
    GRAFT_CHECK(!network.outputs.empty(), "the model '", network.name, "' has no outputs");
    settle(network);
    return network;
  }

  Layer read_layer(const json& entry, const std::string& key, std::map<std::string, int>& seen,
                   bool sequential, int depth) {
    GRAFT_CHECK(++result_.layers <= kMostLayers, "has more than ", kMostLayers, " layers");
    Layer layer;
    layer.kind = word_of(entry, "class_name");
    layer.module = word_of(entry, "module");
    const json* config = member_of(entry, "config");
    GRAFT_CHECK(!layer.kind.empty() && config, "a layer of its configuration has no class");
    layer.name = word_of(entry, "name");
    if (layer.name.empty()) layer.name = word_of(*config, "name");
    if (layer.name.empty()) layer.name = snake_case(layer.kind);
    GRAFT_CHECK(layer.name.size() <= kMostNameBytes, "the name of a layer has more than ",
                kMostNameBytes, " bytes");
    layer.custom = layer.kind.find('>') != std::string::npos ||
                   word_of(entry, "registered_name").find('>') != std::string::npos ||
                   (!layer.module.empty() && layer.module != "keras" &&
                    !layer.module.starts_with("keras.") && !layer.module.starts_with("tf_keras.") &&
                    !layer.module.starts_with("tensorflow.python.keras."));
    const std::string word = snake_case(layer.kind);
    const int before = seen[word]++;
    layer.key = str(key, "layers/", word, before > 0 ? str("_", before) : "");
    if (is_model(layer.kind) && !layer.custom)
      layer.network =
          std::make_shared<Network>(read_network(layer.kind, *config, layer.key + "/", depth + 1));
    else
      layer.settings = LayerSettings(config->dump(-1, ' ', true));
    const json* nodes = member_of(entry, "inbound_nodes");
    if (!sequential && nodes && nodes->is_array())
      for (const json& node : *nodes) read_call(node, layer);
    return layer;
  }

  void read_call(const json& node, Layer& layer) {
    GRAFT_CHECK(++calls_ <= kMostCalls, "has more than ", kMostCalls, " calls of layers");
    Call call;
    if (node.is_object()) {
      if (const json* arguments = member_of(node, "args")) read_arguments(*arguments, call, 0);
      if (const json* named = member_of(node, "kwargs")) read_named(*named, layer, call);
    } else if (node.is_array()) {
      // One reference alone, as some versions write it, or a list of them.
      if (reference_of(node))
        read_old_reference(node, layer, call);
      else
        for (const json& item : node) read_old_reference(item, layer, call);
    }
    layer.calls.push_back(std::move(call));
  }

  void add(Argument argument, Call& call) {
    GRAFT_CHECK(++arguments_ <= kMostArguments, "has more than ", kMostArguments,
                " connections of layers");
    call.arguments.push_back(std::move(argument));
  }

  // Keras 3: tensors as objects, in lists or alone.
  void read_arguments(const json& j, Call& call, int depth) {
    if (j.is_array()) {
      for (const json& item : j) read_arguments(item, call, depth + 1);
    } else if (j.is_number() && depth <= 1) {
      add({.number = j.get<double>()}, call);
    } else if (word_of(j, "class_name") == "__keras_tensor__") {
      const json* config = member_of(j, "config");
      const json* history = config ? member_of(*config, "keras_history") : nullptr;
      const auto reference = history ? reference_of(*history) : std::nullopt;
      GRAFT_CHECK(reference, "a connection of its layers cannot be read");
      add(*reference, call);
    } else if (!j.is_null()) {
      call.refused = "an argument " + j.dump(-1, ' ', true).substr(0, 40);
    }
  }

  void read_named(const json& named, const Layer& layer, Call& call) {
    if (!named.is_object()) return;
    const bool operation =
        layer.module.find(".ops.") != std::string::npos || layer.kind == "TFOpLambda";
    for (const auto& [name, value] : named.items()) {
      if (name == "training") {
        call.training = value.is_boolean() && value.get<bool>();
      } else if (operation && (name == "x2" || name == "y") &&
                 (value.is_number() || reference_of(value))) {
        if (value.is_number()) {
          add({.number = value.get<double>()}, call);
        } else {
          Argument argument = *reference_of(value);
          argument.call += kOldForm;
          add(std::move(argument), call);
        }
      } else if (word_of(value, "class_name") == "__keras_tensor__" ||
                 (value.is_array() && !value.empty()) ||
                 (operation && !value.is_null() && name != "name")) {
        if (operation && name == "x2")
          read_arguments(value, call, 0);
        else
          call.refused = str("an argument '", name, "'");
      }
    }
  }

  // Keras 2: [name, call, output, {named arguments}].
  void read_old_reference(const json& item, const Layer& layer, Call& call) {
    const auto reference = reference_of(item);
    GRAFT_CHECK(reference, "a connection of the layer '", layer.name, "' cannot be read");
    if (reference->layer == "_CONSTANT_VALUE" && item.size() > 2) {
      GRAFT_CHECK(item[2].is_number(), "the layer '", layer.name,
                  "' is called with a constant that is no number");
      add({.number = item[2].get<double>()}, call);
    } else {
      Argument argument = *reference;
      argument.call += kOldForm;
      add(std::move(argument), call);
    }
    if (item.size() > 3) read_named(item[3], layer, call);
  }

  void read_ends(const json& config, const char* key, std::vector<Argument>& ends) {
    const json* list = member_of(config, key);
    if (!list) return;
    const auto take = [&](const json& item) {
      auto reference = reference_of(item);
      GRAFT_CHECK(reference, "its ", key, " cannot be read");
      reference->call += kOldForm;
      GRAFT_CHECK(ends.size() < 1000, "has more than 1000 ", key);
      ends.push_back(*reference);
    };
    if (reference_of(*list)) return take(*list);
    if (list->is_object())
      for (const auto& [name, item] : list->items()) take(item);
    else if (list->is_array())
      for (const json& item : *list) take(item);
  }

  // Calls of models within, which the list form counts from 1 (in Keras 3 those of functional ones
  // only), are counted from 0 as all others.
  void settle(Network& network) {
    std::map<std::string, const Layer*> by_name;
    for (const Layer& layer : network.layers)
      GRAFT_CHECK(by_name.emplace(layer.name, &layer).second, "two layers are named '", layer.name,
                  "'");
    const auto correct = [&](Argument& argument) {
      if (argument.call < kOldForm - 2) return;
      argument.call -= kOldForm;
      const auto found = by_name.find(argument.layer);
      if (found == by_name.end() || !found->second->network) return;
      const bool from_one = result_.generation < 3 || !found->second->network->sequential ||
                            argument.call >= std::ssize(found->second->calls);
      if (from_one && argument.call > 0) --argument.call;
    };
    for (Layer& layer : network.layers)
      for (Call& call : layer.calls)
        for (Argument& argument : call.arguments) correct(argument);
    for (Argument& argument : network.inputs) correct(argument);
    for (Argument& argument : network.outputs) correct(argument);
  }

  // Added to the calls that a list names: models within are counted from 1 there, and settle()
  // knows which layers are such.
  static constexpr int64_t kOldForm = int64_t{1} << 40;
  Description result_;
  int64_t calls_ = 0, arguments_ = 0;
};

}  // namespace

Description read_description(const std::string& text, const std::string& version) {
  io::check_json(text, "the Keras configuration");
  try {
    return DescriptionReader()(json::parse(text), version);
  } catch (const json::exception& error) {
    bad_input("the Keras configuration cannot be read: ", error.what());
  }
}

}  // namespace graft::models::keras
