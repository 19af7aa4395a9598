#include "graft/models/feature_network.h"

#include <algorithm>
#include <charconv>

#include "graft/layers/modules/linear.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

// A row a family, asked in order whose names a state dict has: more special ones first.
const std::vector<const FeatureFamily*>& feature_families() {
  static const std::vector<const FeatureFamily*> table = {
      &vgg_family(),      &squeezenet_family(),   &mobilenet_v2_family(),
      &densenet_family(), &mobilenet_v3_family(), &efficientnet_family()};
  return table;
}

}  // namespace

int64_t leading_number(std::string_view text) {
  int64_t value = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && value < 10000 ? value : -1;
}

std::string no_norm_behind(const std::string&, const std::string&) { return ""; }

std::string norm_beside(const std::string&, const std::string& conv) {
  const size_t dot = conv.rfind('.');
  if (dot == std::string::npos || !conv.starts_with("features.")) return "";
  const int64_t index = leading_number(std::string_view(conv).substr(dot + 1));
  return index >= 0 ? str(conv.substr(0, dot + 1), index + 1) : "";
}

const FeatureFamily& feature_family(const std::string& name) {
  for (const FeatureFamily* family : feature_families())
    if (std::find(family->names.begin(), family->names.end(), name) != family->names.end())
      return *family;
  bad_input("unknown network '", name, "': expected one of ", join(feature_network_names()));
}

std::vector<std::string> feature_network_names() {
  std::vector<std::string> names;
  for (const FeatureFamily* family : feature_families())
    names.insert(names.end(), family->names.begin(), family->names.end());
  return names;
}

FeatureConfig feature_config(const std::string& name) {
  return {.name = name, .eps = feature_family(name).eps};
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
    auto* group = dynamic_cast<ModuleGroup*>(find(path.substr(0, dot)));
    GRAFT_ASSERT(group != nullptr);
    if (find(path))
      group->replace(path.substr(dot + 1), head);
    else
      group->add(path.substr(dot + 1), head);
  } else if (find(path)) {
    replace_child(path, head);
  } else {
    register_module(path, head);
  }
  add_stage(path, {{path}, [head](const Tensor& x) { return (*head)(x); }});
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
  for (size_t stage = begin; stage < end; ++stage) {
    if (stages_[stage].map) y = stages_[stage].map(y);
    y = stages_[stage].run(y);
  }
  return y;
}

std::vector<Tensor> FeatureNetwork::stage_values(const Tensor& x, size_t stage) {
  const Stage& s = stages_.at(stage);
  if (!s.map) return StagedNetwork::stage_values(x, stage);
  const Tensor map = s.map(x);
  return {map, s.run(map)};
}

std::string feature_head_path(const FeatureConfig& config) {
  return config.linear_head || !config.cut.empty() ? "fc" : feature_family(config.name).head;
}

FeatureConfig feature_config_of(const StateDict& tensors) {
  std::string name;
  for (const FeatureFamily* family : feature_families())
    if (name.empty()) name = family->name_of(tensors);
  if (name.empty()) return {.name = ""};
  FeatureConfig config = feature_config(name);
  const FeatureFamily& family = feature_family(name);
  const Tensor stem = tensors.find(family.first);
  GRAFT_CHECK(stem.defined() && stem.rank() == 4, "the names are those of a ", config.name,
              ", but ", family.first, " is missing");
  config.in_channels = stem.size(1);
  for (const char* head : {"fc", family.head}) {
    const Tensor weight = tensors.find(std::string(head) + ".weight");
    if (!weight.defined() || weight.rank() < 1) continue;
    config.classes = weight.size(0);
    config.linear_head = head == std::string_view("fc");
    return config;
  }
  config.classes = 0;
  config.linear_head = !tensors.contains("classifier.0.weight");
  return config;
}

std::string feature_norm_behind(const FeatureConfig& config, const std::string& conv) {
  return feature_family(config.name).norm_behind(config.name, conv);
}

}  // namespace graft::models
