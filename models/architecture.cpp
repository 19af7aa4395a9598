#include "graft/models/architecture.h"

#include <nlohmann/json.hpp>

#include "graft/models/initialization.h"

namespace graft::models {
namespace {

constexpr std::string_view kCifarPrefix = "cifar_resnet";

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

nlohmann::json json_of(const ResNetConfig& c) {
  return {{"family", "resnet"},           {"name", c.name},
          {"depths", c.depths},           {"bottleneck", c.bottleneck},
          {"stride_in_3x3", c.stride_in_3x3}, {"eps", c.eps},
          {"pool_pad_begin", c.pool_pad_begin}, {"pool_pad_end", c.pool_pad_end},
          {"in_channels", c.in_channels}, {"stages", c.stages},
          {"classes", c.classes}};
}

nlohmann::json json_of(const CifarResNetConfig& c) {
  return {{"family", "cifar_resnet"}, {"depth", c.depth}, {"in_channels", c.in_channels}, {"classes", c.classes}, {"eps", c.eps}};
}

// Limits a hostile card: nothing here may ask for an absurd network.
template <class T>
T field(const nlohmann::json& j, const char* name, T low, T high) {
  const T value = j.at(name).get<T>();
  GRAFT_CHECK(value >= low && value <= high, "the card's architecture has ", name, " ", value, ", expected ", low, " to ", high);
  return value;
}

constexpr int64_t kMostClasses = 1000000;

ResNetConfig resnet_from(const nlohmann::json& j) {
  ResNetConfig c;
  c.name = j.at("name").get<std::string>();
  c.depths = j.at("depths").get<std::array<int64_t, 4>>();
  for (const int64_t depth : c.depths) GRAFT_CHECK(depth >= 1 && depth <= 200, "the card's architecture has a stage of ", depth, " blocks");
  c.bottleneck = j.at("bottleneck").get<bool>();
  c.stride_in_3x3 = j.at("stride_in_3x3").get<bool>();
  c.eps = field(j, "eps", 0.0, 1.0);
  c.pool_pad_begin = field<int64_t>(j, "pool_pad_begin", 0, 2);
  c.pool_pad_end = field<int64_t>(j, "pool_pad_end", 0, 2);
  c.in_channels = field<int64_t>(j, "in_channels", 1, 4096);
  c.stages = field<int64_t>(j, "stages", 1, 4);
  c.classes = field<int64_t>(j, "classes", 0, kMostClasses);
  return c;
}

CifarResNetConfig cifar_from(const nlohmann::json& j) {
  return {field<int64_t>(j, "depth", 8, 1202), field<int64_t>(j, "in_channels", 1, 4096), field<int64_t>(j, "classes", 1, kMostClasses),
          field(j, "eps", 0.0, 1.0)};
}

}  // namespace

std::vector<std::string> architecture_names() {
  return {"resnet18",       "resnet34",       "resnet50",       "resnet101",     "resnet152",
          "cifar_resnet20", "cifar_resnet32", "cifar_resnet44", "cifar_resnet56"};
}

Architecture architecture_named(std::string_view name) {
  const auto names = architecture_names();
  GRAFT_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "unknown architecture '", name, "': expected one of ", join(names));
  if (name.starts_with(kCifarPrefix)) return CifarResNetConfig{.depth = std::stoll(std::string(name.substr(kCifarPrefix.size())))};
  return resnet_config(name);
}

std::string name_of(const Architecture& architecture) {
  return std::visit(Overloaded{[](const ResNetConfig& c) { return c.name; },
                               [](const CifarResNetConfig& c) { return str(kCifarPrefix, c.depth); }},
                    architecture);
}

std::string to_json(const Architecture& architecture) {
  return std::visit([](const auto& config) { return json_of(config).dump(); }, architecture);
}

Architecture architecture_from_json(const std::string& text) {
  try {
    const auto j = nlohmann::json::parse(text);
    const auto family = j.at("family").get<std::string>();
    if (family == "resnet") return resnet_from(j);
    if (family == "cifar_resnet") return cifar_from(j);
    bad_input("the card's architecture is of an unknown family '", family, "'");
  } catch (const nlohmann::json::exception& error) {
    bad_input("the card's architecture cannot be read: ", error.what());
  }
}

std::shared_ptr<StagedNetwork> make_network(const Architecture& architecture) {
  return std::visit(Overloaded{[](const ResNetConfig& c) -> std::shared_ptr<StagedNetwork> { return std::make_shared<ResNet>(c); },
                               [](const CifarResNetConfig& c) -> std::shared_ptr<StagedNetwork> { return std::make_shared<CifarResNet>(c); }},
                    architecture);
}

std::string head_path(const Architecture& architecture) { return std::holds_alternative<ResNetConfig>(architecture) ? "fc" : "linear"; }

int64_t classes_of(const Architecture& architecture) {
  return std::visit([](const auto& config) { return config.classes; }, architecture);
}

int64_t in_channels_of(const Architecture& architecture) {
  return std::visit([](const auto& config) { return config.in_channels; }, architecture);
}

std::string describe(const Architecture& architecture) {
  std::string text = name_of(architecture);
  if (const auto* c = std::get_if<ResNetConfig>(&architecture)) {
    if (c->stages < 4) text += str(", cut after layer", c->stages);
    text += str(", ", (int64_t{64} << (c->stages - 1)) * (c->bottleneck ? 4 : 1), " features");
  } else {
    text += ", 64 features";
  }
  const int64_t classes = classes_of(architecture);
  return text + (classes > 0 ? str(", ", classes, classes == 1 ? " class" : " classes") : ", no head");
}

void replace_head(StagedNetwork& network, Architecture& architecture, int64_t classes, uint64_t seed) {
  if (auto* resnet = dynamic_cast<ResNet*>(&network)) resnet->replace_head(classes);
  else if (auto* cifar = dynamic_cast<CifarResNet*>(&network)) cifar->replace_head(classes);
  else bad_input("this network's head cannot be replaced");
  std::visit([classes](auto& config) { config.classes = classes; }, architecture);
  initialize_at(network, head_path(architecture), seed);
}

}  // namespace graft::models
