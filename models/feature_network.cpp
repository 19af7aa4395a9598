#include "graft/models/feature_network.h"

#include <algorithm>
#include <charconv>

#include "graft/layers/modules/linear.h"
#include "graft/models/feature_builder.h"

namespace graft::models {
namespace {

struct FeatureFamily {
  const char* prefix;  // of its names
  void (*build)(FeatureBuilder&);
  const char* head;  // the path of its own head
};
constexpr FeatureFamily kFeatureFamilies[] = {{"vgg", build_vgg, "classifier.6"},
                                              {"squeezenet", build_squeezenet, "classifier.1"},
                                              {"mobilenet_v2", build_mobilenet, "classifier.1"},
                                              {"densenet", build_densenet, "classifier"}};

const FeatureFamily& feature_family(const std::string& name) {
  const auto names = feature_network_names();
  GRAFT_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "unknown network '", name,
              "': expected one of ", join(names));
  for (const FeatureFamily& family : kFeatureFamilies)
    if (name.starts_with(family.prefix)) return family;
  fail(ErrorCode::internal, "no family for ", name);
}

bool is_dense(const FeatureConfig& config) { return config.name.starts_with("densenet"); }

// The number at the begin of a text, -1 for none.
int64_t leading_number(std::string_view text) {
  int64_t value = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && value < 10000 ? value : -1;
}

// The children N of `features` that have a "features.N.weight" of rank 4, in order.
std::vector<int64_t> feature_convolutions(const StateDict& tensors) {
  std::vector<int64_t> at;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with("features.") || tensor.rank() != 4) continue;
    const int64_t index = leading_number(std::string_view(name).substr(9));
    if (index >= 0 && name == str("features.", index, ".weight")) at.push_back(index);
  }
  std::sort(at.begin(), at.end());
  return at;
}

std::vector<int64_t> dense_blocks(const StateDict& tensors) {
  std::vector<int64_t> blocks;
  for (const auto& [name, tensor] : tensors) {
    constexpr std::string_view block = "features.denseblock", layer = ".denselayer";
    const size_t at = name.find(layer);
    if (!name.starts_with(block) || at == std::string::npos) continue;
    const int64_t b = leading_number(std::string_view(name).substr(block.size())),
                  l = leading_number(std::string_view(name).substr(at + layer.size()));
    if (b < 1 || b > 8 || l < 1) continue;
    blocks.resize(std::max(blocks.size(), static_cast<size_t>(b)));
    blocks[static_cast<size_t>(b - 1)] = std::max(blocks[static_cast<size_t>(b - 1)], l);
  }
  return blocks;
}

std::string feature_name_of(const StateDict& tensors) {
  if (tensors.contains("features.conv0.weight")) {
    const auto blocks = dense_blocks(tensors);
    const std::string name = densenet_name_of(blocks);
    GRAFT_CHECK(!name.empty(), "the names are those of a DenseNet, but dense blocks of ",
                join(blocks, ", "), " layers are no DenseNet-121, 161, 169 or 201");
    return name;
  }
  if (tensors.contains("features.3.squeeze.weight"))
    return tensors.contains("features.5.squeeze.weight") ? "squeezenet1_0" : "squeezenet1_1";
  if (tensors.contains("features.0.0.weight") && tensors.contains("features.1.conv.0.0.weight"))
    return "mobilenet_v2";
  const auto convolutions = feature_convolutions(tensors);
  if (convolutions.size() < 2) return "";
  const std::string name = vgg_name_of(convolutions);
  GRAFT_CHECK(!name.empty(), "the names are those of a VGG, but convolutions at features.",
              join(convolutions, ", "), " are no VGG-11, 13, 16 or 19");
  return name;
}

}  // namespace

std::vector<std::string> feature_network_names() {
  return {"vgg11",         "vgg13",         "vgg16",        "vgg19",
          "vgg11_bn",      "vgg13_bn",      "vgg16_bn",     "vgg19_bn",
          "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121",
          "densenet161",   "densenet169",   "densenet201",  kMobileNetTf};
}

FeatureNetwork::FeatureNetwork(const FeatureConfig& config) : config_(config) {
  GRAFT_CHECK(config.in_channels >= 1 && config.classes >= 0, config.name, ": ", config.in_channels,
              " input channels, ", config.classes, " classes");
  config_.linear_head = config.linear_head || !config.cut.empty();
  FeatureBuilder build(*this);
  feature_family(config.name).build(build);
  const auto features_end = std::find(names_.begin(), names_.end(), "pool");
  GRAFT_CHECK(
      config.cut.empty() || std::find(names_.begin(), features_end, config.cut) != features_end,
      "cannot cut at '", config.cut, "': the stages of ", config.name, " are ",
      join(std::vector(names_.begin(), features_end)));
}

void FeatureNetwork::add_stage(std::string name, Stage stage) {
  names_.push_back(std::move(name));
  stages_.push_back(std::move(stage));
}

void FeatureNetwork::add_head(const std::string& path) {
  const auto head = std::make_shared<Linear>(features_, config_.classes);
  const size_t dot = path.rfind('.');
  if (dot != std::string::npos) {
    auto* group = static_cast<ModuleGroup*>(find(path.substr(0, dot)));
    if (find(path))
      group->replace(path.substr(dot + 1), head);
    else
      group->add(path.substr(dot + 1), head);
  } else if (find(path)) {
    replace_child(path, head);
  } else {
    register_module(path, head);
  }
  add_stage(path, {{path}, [head](const Tensor& x) { return head->forward(x); }});
}

void FeatureNetwork::replace_head(int64_t classes) {
  GRAFT_CHECK(classes >= 1, "a head needs at least one class, got ", classes);
  if (config_.classes > 0) {
    names_.pop_back();
    stages_.pop_back();
  }
  config_.classes = classes;
  if (config_.name.starts_with("squeezenet") && !config_.linear_head) {
    replace_child("classifier", std::make_shared<ModuleGroup>());
    add_stage("pool", pool_stage());
    config_.linear_head = true;
  }
  add_head(feature_head_path(config_));
}

std::vector<std::string> FeatureNetwork::stage_paths(size_t stage) const {
  return stages_.at(stage).paths;
}

Tensor FeatureNetwork::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  GRAFT_CHECK(begin > 0 || (x.rank() == 4 && x.shape()[1] == config_.in_channels), config_.name,
              ": input ", x.shape(), ", expected [N,", config_.in_channels, ",H,W]");
  Tensor y = x;
  for (size_t stage = begin; stage < end; ++stage) y = stages_[stage].run(y);
  return y;
}

std::string feature_head_path(const FeatureConfig& config) {
  return config.linear_head || !config.cut.empty() ? "fc" : feature_family(config.name).head;
}

FeatureConfig feature_config_of(const StateDict& tensors) {
  FeatureConfig config;
  config.name = feature_name_of(tensors);
  if (config.name.empty()) return config;
  const char* first = is_dense(config)                          ? "features.conv0.weight"
                      : config.name.starts_with("mobilenet_v2") ? "features.0.0.weight"
                                                                : "features.0.weight";
  const Tensor stem = tensors.find(first);
  GRAFT_CHECK(stem.defined() && stem.rank() == 4, "the names are those of a ", config.name,
              ", but ", first, " is missing");
  config.in_channels = stem.size(1);
  for (const char* head : {"fc.weight", feature_family(config.name).head}) {
    const Tensor weight =
        tensors.find(head == std::string_view("fc.weight") ? head : std::string(head) + ".weight");
    if (!weight.defined() || weight.rank() < 1) continue;
    config.classes = weight.size(0);
    config.linear_head = head == std::string_view("fc.weight");
    return config;
  }
  config.classes = 0;
  config.linear_head = !tensors.contains("classifier.0.weight");
  return config;
}

std::string feature_norm_behind(const FeatureConfig& config, const std::string& conv) {
  const size_t dot = conv.rfind('.');
  if (dot == std::string::npos || !conv.starts_with("features.")) return "";
  const std::string parent = conv.substr(0, dot + 1), last = conv.substr(dot + 1);
  if (is_dense(config))
    return last == "conv0" ? parent + "norm0" : last == "conv1" ? parent + "norm2" : "";
  const bool normed = config.name.ends_with("_bn") || config.name.starts_with("mobilenet_v2");
  const int64_t index = leading_number(last);
  return normed && index >= 0 ? parent + std::to_string(index + 1) : "";
}

}  // namespace graft::models
