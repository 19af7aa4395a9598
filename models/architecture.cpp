#include "graft/models/architecture.h"

#include <algorithm>

#include "graft/models/feature_family.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/initialization.h"
#include "graft/models/segmentation/segmentation_network.h"

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
  std::vector<std::string> names = resnet_names();
  for (const int depth : {20, 32, 44, 56}) names.push_back(str(kCifarPrefix, depth));
  const auto more = feature_network_names();
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

Architecture architecture_named(std::string_view name) {
  const auto names = architecture_names();
  GRAFT_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "unknown architecture '",
              name, "': expected one of ", join(names));
  if (name.starts_with(kCifarPrefix))
    return CifarResNetConfig{.depth = std::stoll(std::string(name.substr(kCifarPrefix.size())))};
  const auto resnets = resnet_names();
  if (std::find(resnets.begin(), resnets.end(), name) != resnets.end()) return resnet_config(name);
  return feature_config(std::string(name));
}

std::string name_of(const Architecture& architecture) {
  return std::visit(
      Overloaded{[](const CifarResNetConfig& c) { return str(kCifarPrefix, c.depth); },
                 [](const SegmentationConfig& c) { return segmentation_name(c); },
                 [](const auto& c) { return c.name; }},
      architecture);
}

std::shared_ptr<StagedNetwork> make_network(const Architecture& architecture) {
  return std::visit(Overloaded{[](const ResNetConfig& c) -> std::shared_ptr<StagedNetwork> {
                                 return std::make_shared<ResNet>(c);
                               },
                               [](const CifarResNetConfig& c) -> std::shared_ptr<StagedNetwork> {
                                 return std::make_shared<CifarResNet>(c);
                               },
                               [](const FeatureConfig& c) -> std::shared_ptr<StagedNetwork> {
                                 return std::make_shared<FeatureNetwork>(c);
                               },
                               [](const GraphConfig& c) -> std::shared_ptr<StagedNetwork> {
                                 return std::make_shared<GraphModule>(c);
                               },
                               [](const SegmentationConfig& c) -> std::shared_ptr<StagedNetwork> {
                                 return std::make_shared<SegmentationNetwork>(c);
                               }},
                    architecture);
}

std::string head_path(const Architecture& architecture) {
  return std::visit(Overloaded{[](const ResNetConfig&) { return std::string("fc"); },
                               [](const CifarResNetConfig&) { return std::string("linear"); },
                               [](const FeatureConfig& c) { return feature_head_path(c); },
                               [](const GraphConfig&) { return std::string(kGraphHead); },
                               [](const SegmentationConfig&) { return std::string("decoder"); }},
                    architecture);
}

std::string norm_behind(const Architecture& architecture, const std::string& conv) {
  if (std::holds_alternative<GraphConfig>(architecture)) return "";  // the graph's own nodes tell
  if (const auto* segmentation = std::get_if<SegmentationConfig>(&architecture))
    return conv.starts_with("decoder.")
               ? ""
               : norm_behind(whole_architecture(segmentation->encoder), conv);
  if (const auto* features = std::get_if<FeatureConfig>(&architecture))
    return feature_norm_behind(*features, conv);
  if (const auto* resnet = std::get_if<ResNetConfig>(&architecture))
    return resnet_norm_behind(*resnet, conv);
  return resnet_norm_behind({}, conv);  // a CIFAR ResNet's names are the same
}

bool biased_before_norms(const Architecture& architecture) {
  if (const auto* segmentation = std::get_if<SegmentationConfig>(&architecture))
    return biased_before_norms(whole_architecture(segmentation->encoder));
  const auto* features = std::get_if<FeatureConfig>(&architecture);
  return features && feature_family(features->name).biased_norms;
}

namespace {

// All but the head.
std::string describe_body(const Architecture& architecture) {
  std::string text = name_of(architecture);
  if (const auto* c = std::get_if<ResNetConfig>(&architecture)) {
    text += variant_text(*c);
    if (c->stages < 4) text += str(", cut after layer", c->stages);
    text += str(", ", (int64_t{64} << (c->stages - 1)) * (c->bottleneck ? 4 : 1), " features");
  } else if (const auto* f = std::get_if<FeatureConfig>(&architecture)) {
    if (!f->cut.empty()) text += str(", cut after ", f->cut);
    if (f->linear_head) text += ", linear head on pooled features";
  } else if (const auto* g = std::get_if<GraphConfig>(&architecture)) {
    text += str(", ", g->source->nodes.size(), " nodes, ", g->features, " features");
  } else if (const auto* s = std::get_if<SegmentationConfig>(&architecture)) {
    text += str(": ", s->decoder, " decoder on ", describe_body(whole_architecture(s->encoder)));
    if (s->output_stride > 0) text += str(", dilated beyond stride ", s->output_stride);
    text += str(", for images of ", s->height, "x", s->width);
  } else {
    text += ", 64 features";
  }
  return text;
}

}  // namespace

std::string describe(const Architecture& architecture) {
  const int64_t classes = classes_of(architecture);
  return describe_body(architecture) +
         (classes > 0 ? str(", ", classes, classes == 1 ? " class" : " classes") : ", no head");
}

void replace_head(StagedNetwork& network, Architecture& architecture, int64_t classes,
                  uint64_t seed) {
  if (auto* resnet = dynamic_cast<ResNet*>(&network))
    resnet->replace_head(classes);
  else if (auto* cifar = dynamic_cast<CifarResNet*>(&network))
    cifar->replace_head(classes);
  else if (auto* features = dynamic_cast<FeatureNetwork*>(&network))
    features->replace_head(classes);
  else
    bad_input("this network's head cannot be replaced");
  std::visit([classes](auto& config) { config.classes = classes; }, architecture);
  if (const auto* features = dynamic_cast<const FeatureNetwork*>(&network))
    architecture = features->config();
  initialize_at(network, head_path(architecture), seed);
}

}  // namespace graft::models
