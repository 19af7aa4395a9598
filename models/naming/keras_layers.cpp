#include "graft/models/naming/keras_layers.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/io/json.h"
#include "graft/io/weights/hdf5.h"

namespace graft::models {
namespace {

// Names in the order of the configuration, per container, under the key that Keras 3 stores them
// by: the class in snake case, numbered from the second on.
using NamesByKey =
    std::map<std::string, std::string>;  // "layers/conv2d_1" -> "conv2_block1_1_conv"

class KerasConfig {
 public:
  explicit KerasConfig(const std::string& text) {
    io::check_json(text, "the Keras configuration");
    try {
      const auto root = nlohmann::json::parse(text);
      read_container(root.value("config", nlohmann::json()), "");
    } catch (const nlohmann::json::exception& error) {
      bad_input("the Keras configuration cannot be read: ", error.what());
    }
  }
  std::map<std::string, KerasLayer> layers;
  std::vector<std::string> order;
  NamesByKey names;

 private:
  void read_container(const nlohmann::json& config, const std::string& path) {
    if (!config.is_object() || !config.contains("layers") || !config["layers"].is_array()) return;
    std::map<std::string, int> seen;
    for (const auto& entry : config["layers"]) {
      if (!entry.is_object()) continue;
      const auto kind = entry.value("class_name", std::string());
      const auto inner = entry.value("config", nlohmann::json::object());
      const std::string name = inner.is_object() ? inner.value("name", std::string()) : "";
      std::string key = snake_case(kind);
      if (const int before = seen[key]++; before > 0) key += "_" + std::to_string(before);
      const std::string at = path + "layers/" + key;
      if (!name.empty()) names[at] = name;
      if (path.empty()) order.push_back(name);
      if (inner.is_object() && inner.contains("layers"))
        read_container(inner, at + "/");
      else if (!name.empty() && !(layers.contains(name) && !path.empty()))
        layers[name] = layer_of(kind, inner);
    }
  }

  static KerasLayer layer_of(const std::string& kind, const nlohmann::json& config) {
    KerasLayer layer;
    layer.kind = kind;
    const auto flag = [&](const char* name) {
      return !config.contains(name) || !config[name].is_boolean() || config[name].get<bool>();
    };
    layer.center = flag("center");
    layer.scale = flag("scale");
    if (config.contains("epsilon") && config["epsilon"].is_number()) {
      layer.epsilon = config["epsilon"].get<double>();
      layer.has_epsilon = true;
    }
    if (config.contains("strides")) collect_integers(config["strides"], layer.strides);
    if (config.contains("padding")) {
      if (config["padding"].is_string())
        layer.padding_word = config["padding"].get<std::string>();
      else
        collect_integers(config["padding"], layer.padding);
    }
    if (config.contains("activation") && config["activation"].is_string())
      layer.activation = config["activation"].get<std::string>();
    for (const auto& [key, side] :
         {std::pair{"height", &layer.height}, std::pair{"width", &layer.width}})
      if (config.contains(key) && config[key].is_number_integer())
        *side = config[key].get<int64_t>();
    for (const auto& [key, is_set] :
         {std::pair{"crop_to_aspect_ratio", &layer.crop_to_aspect_ratio},
          std::pair{"pad_to_aspect_ratio", &layer.pad_to_aspect_ratio}})
      *is_set = config.contains(key) && config[key].is_boolean() && config[key].get<bool>();
    if (config.contains("interpolation") && config["interpolation"].is_string())
      layer.interpolation = config["interpolation"].get<std::string>();
    for (const char* key : {"batch_shape", "batch_input_shape"})
      if (config.contains(key) && config[key].is_array() && config[key].size() == 4)
        for (size_t axis = 1; axis < 4; ++axis)
          layer.input_shape.push_back(
              config[key][axis].is_number_integer() ? config[key][axis].get<int64_t>() : -1);
    for (const auto& [key, list] :
         {std::pair{"scale", &layer.factor}, std::pair{"offset", &layer.offset},
          std::pair{"mean", &layer.mean}, std::pair{"variance", &layer.variance}})
      if (config.contains(key)) collect_reals(config[key], *list);
    return layer;
  }

  static void collect_reals(const nlohmann::json& value, std::vector<double>& out) {
    if (value.is_array())
      for (const auto& item : value) collect_reals(item, out);
    else if (value.is_number() && out.size() < 8)
      out.push_back(value.get<double>());
  }

  static void collect_integers(const nlohmann::json& value, std::vector<int64_t>& out) {
    if (value.is_array())
      for (const auto& item : value) collect_integers(item, out);
    else if (value.is_number_integer() && out.size() < 8)
      out.push_back(value.get<int64_t>());
  }
};

std::vector<std::string> components(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path)
    if (c == '/')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

std::string joined(const std::vector<std::string>& parts, size_t begin, size_t end) {
  return join(std::vector(parts.begin() + static_cast<std::ptrdiff_t>(begin),
                          parts.begin() + static_cast<std::ptrdiff_t>(end)),
              "/");
}

// "kernel:0", "bn2a_branch2a_gamma:0" (Keras 1) -> the tensor's part of its layer; "" when it is
// none.
std::string part_named(std::string word, const std::string& layer) {
  if (const size_t colon = word.rfind(':'); colon != std::string::npos) word.resize(colon);
  if (word.starts_with(layer + "_")) word = word.substr(layer.size() + 1);
  if (word == "W" || word == "depthwise_kernel") return "kernel";
  if (word == "b") return "bias";
  if (word == "running_mean") return "moving_mean";
  if (word == "running_std" || word == "running_variance")
    return "moving_variance";  // Keras 1 kept the variance under that name
  for (const char* known : {"kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance",
                            "mean", "variance", "count"})
    if (word == known) return known;
  return "";
}

// "conv1_conv/conv1_conv/kernel:0", "resnet50/conv1_conv/kernel", "conv1/bn/conv1/bn/gamma:0",
// "dense/sequential/dense/kernel".
bool name_by_path(const std::string& path, KerasTensor& result) {
  const auto parts = components(path);
  if (parts.size() < 2) return false;
  const size_t last = parts.size() - 1;
  std::string layer = parts[last - 1], prefix = joined(parts, 0, last - 1);
  if (last % 2 == 0 &&
      joined(parts, 0, last / 2) == joined(parts, last / 2, last)) {  // the layer's path twice
    layer = joined(parts, 0, last / 2);
    prefix.clear();
  } else if (last >= 2 && parts[0] == layer) {  // its group, then the path of the model around it
    prefix.clear();
  }
  result.layer = layer;
  result.prefix = prefix.empty() ? "" : prefix + "/";
  result.part = part_named(parts[last], layer);
  return !result.part.empty();
}

// Keras 3: variable number `index` of the layer at `path` ("layers/conv2d_1").
void name_by_number(const io::WeightFile& file, const KerasConfig* config, const std::string& path,
                    int64_t index, KerasTensor& result) {
  const auto named = file.metadata.find(io::kKerasNameKey + path + "/vars");
  const auto listed = config ? config->names.find(path) : NamesByKey::const_iterator();
  if (named != file.metadata.end())
    result.layer = named->second;
  else if (config && listed != config->names.end())
    result.layer = listed->second;
  else
    bad_input("the Keras weights '", path,
              "' have no layer's name beside them; save the whole model (.keras), which has");
  if (const size_t inner = path.rfind("/layers/"); inner != std::string::npos)
    result.prefix = path.substr(0, inner + 1);
  if (config && config->layers.contains(result.layer) &&
      config->layers.at(result.layer).kind == "Normalization" && index < 3) {
    result.part = index == 0 ? "mean" : index == 1 ? "variance" : "count";
    return;
  }
  const Tensor first = file.tensors.find(path + "/vars/0");
  if (first.defined() && first.rank() >= 2) {
    result.part = index == 0 ? "kernel" : "bias";
    return;
  }
  std::vector<const char*> parts = {"gamma", "beta", "moving_mean", "moving_variance"};
  if (config) {
    const auto layer = config->layers.find(result.layer);
    if (layer != config->layers.end() && !layer->second.center) parts.erase(parts.begin() + 1);
    if (layer != config->layers.end() && !layer->second.scale) parts.erase(parts.begin());
  }
  const bool whole =
      file.tensors.contains(str(path, "/vars/", parts.size() - 1)) && index < std::ssize(parts);
  result.part = whole ? parts[static_cast<size_t>(index)] : std::to_string(index);
}

}  // namespace

std::string snake_case(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto is_upper = [&](size_t at) {
      return std::isupper(static_cast<unsigned char>(name[at])) != 0;
    };
    const auto is_lower = [&](size_t at) {
      return std::islower(static_cast<unsigned char>(name[at])) != 0;
    };
    const bool starts_word =
        i > 0 && is_upper(i) && (is_lower(i - 1) || (i + 1 < name.size() && is_lower(i + 1)));
    if (starts_word) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return out;
}

bool KerasModel::has_layer(const std::string& name) const {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const KerasTensor& t) { return t.layer == name; });
}

KerasModel keras_model(const io::WeightFile& file) {
  KerasModel model;
  std::optional<KerasConfig> config;
  if (const auto text = file.metadata.find(io::kKerasConfigKey); text != file.metadata.end())
    config.emplace(text->second);
  if (config) model.layers = config->layers, model.order = config->order;
  for (const auto& [name, tensor] : file.tensors) {
    std::string path = name;
    for (const char* root : {"model_weights/", "_layer_checkpoint_dependencies/"})
      if (path.starts_with(root)) path = path.substr(std::string_view(root).size());
    KerasTensor found{.file_name = name, .prefix = "", .layer = "", .part = "", .tensor = tensor};
    const size_t vars = path.rfind("/vars/");
    const bool beside =
        path.starts_with("optimizer") || path.find("seed_generator") != std::string::npos;
    if (beside) {
      model.ignored.push_back(name);
      continue;
    }
    if (vars != std::string::npos)
      name_by_number(file, config ? &*config : nullptr, path.substr(0, vars),
                     std::atoll(path.c_str() + vars + 6), found);
    else if (!name_by_path(path, found))
      found.layer = path;
    model.tensors.push_back(std::move(found));
  }
  return model;
}

}  // namespace graft::models
