#include "graft/models/architecture.h"

#include <algorithm>

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

std::shared_ptr<StagedNetwork> make_network(const Architecture& architecture) {
  return std::visit(Overloaded{[](const ResNetConfig& c) -> std::shared_ptr<StagedNetwork> { return std::make_shared<ResNet>(c); },
                               [](const CifarResNetConfig& c) -> std::shared_ptr<StagedNetwork> { return std::make_shared<CifarResNet>(c); }},
                    architecture);
}

std::string head_path(const Architecture& architecture) { return std::holds_alternative<ResNetConfig>(architecture) ? "fc" : "linear"; }

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
