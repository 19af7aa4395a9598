// Hugging Face transformers' ResNets and timm's own names for MobileNetV2 and VGG (timm's ResNets
// and DenseNets have torchvision's).
#include "graft/models/naming/scheme.h"

namespace graft::models {
namespace {

// "encoder.stages.0.layers.1.layer.2.convolution.weight",
// "encoder.stages.0.layers.0.shortcut.normalization.bias".
std::string rename_transformers(const StateDict&, const std::string& name) {
  NameParser parse(name);
  int64_t stage = 0, block = 0, index = 0;
  const auto unit = [&](const std::string& convolution, const std::string& norm) {
    const bool is_norm = parse.word("normalization.");
    if (!is_norm && !parse.word("convolution.")) return std::string();
    const std::string part = suffix_of(parse.rest());
    return part.empty() ? "" : (is_norm ? norm : convolution) + part;
  };
  parse.word("resnet.");
  if (parse.word("embedder.embedder.")) return unit("conv1", "bn1");
  if (parse.word("classifier.1.")) return "fc" + suffix_of(parse.rest());
  if (!parse.word("encoder.stages.") || !parse.number(stage) || stage > 3 ||
      !parse.word(".layers.") || !parse.number(block))
    return "";
  const std::string path = block_path(stage + 1, block);
  if (parse.word(".shortcut.")) {
    const std::string layer = unit("downsample.0", "downsample.1");
    return layer.empty() ? "" : path + layer;
  }
  if (!parse.word(".layer.") || !parse.number(index) || !parse.word(".")) return "";
  const std::string layer = unit(str("conv", index + 1), str("bn", index + 1));
  return layer.empty() ? "" : path + layer;
}

void finish_transformers(const StateDict&, Renamed& renamed) {
  renamed.stride_in_3x3 = {
      true, false,
      "transformers' default (downsample_in_bottleneck is false); a state dict does not say"};
}

// How the groups of blocks follow each other in torchvision's features.1 to features.17.
constexpr int64_t kFirstOfGroup[] = {1, 2, 4, 7, 11, 14, 17};

// "conv_stem", "bn1", "blocks.2.1.conv_pw", "blocks.2.1.bn1", "conv_head", "bn2", "classifier".
std::string rename_timm_mobilenet(const StateDict&, const std::string& name) {
  NameParser parse(name);
  int64_t group = 0, block = 0;
  const auto ends = [&](const std::string& layer) {
    const std::string part = suffix_of(parse.rest());
    return part.empty() ? "" : layer + part;
  };
  if (parse.word("conv_stem.")) return ends("features.0.0");
  if (parse.word("bn1.")) return ends("features.0.1");
  if (parse.word("conv_head.")) return ends("features.18.0");
  if (parse.word("bn2.")) return ends("features.18.1");
  if (parse.word("classifier.")) return ends("classifier.1");
  if (!parse.word("blocks.") || !parse.number(group) || group > 6 || !parse.word(".") ||
      !parse.number(block) || !parse.word("."))
    return "";
  const std::string path = str("features.", kFirstOfGroup[group] + block, ".conv.");
  if (group == 0) {  // no expansion: depthwise, then projection
    if (parse.word("conv_dw.")) return ends(path + "0.0");
    if (parse.word("bn1.")) return ends(path + "0.1");
    if (parse.word("conv_pw.")) return ends(path + "1");
    return parse.word("bn2.") ? ends(path + "2") : "";
  }
  if (parse.word("conv_pw.")) return ends(path + "0.0");
  if (parse.word("bn1.")) return ends(path + "0.1");
  if (parse.word("conv_dw.")) return ends(path + "1.0");
  if (parse.word("bn2.")) return ends(path + "1.1");
  if (parse.word("conv_pwl.")) return ends(path + "2");
  return parse.word("bn3.") ? ends(path + "3") : "";
}

std::string rename_timm_vgg(const StateDict&, const std::string& name) {
  NameParser parse(name);
  if (parse.word("features.")) return name;
  if (parse.word("pre_logits.fc1.")) return "classifier.0" + suffix_of(parse.rest());
  if (parse.word("pre_logits.fc2.")) return "classifier.3" + suffix_of(parse.rest());
  return parse.word("head.fc.") ? "classifier.6" + suffix_of(parse.rest()) : "";
}

// timm's hidden layers are convolutions over 7x7 and 1x1: the same numbers in the same order.
void finish_timm_vgg(const StateDict&, Renamed& renamed) {
  for (const char* name : {"classifier.0.weight", "classifier.3.weight"}) {
    const Tensor weight = renamed.tensors.find(name);
    if (weight.defined() && weight.rank() == 4)
      renamed.tensors.set(name, weight.reshape({weight.size(0), weight.numel() / weight.size(0)}));
  }
}

// torchvision's ResNet as nn.Sequential(*children): conv1, bn1, relu, maxpool, layer1 to layer4,
// ...
std::string rename_numbered(const StateDict&, const std::string& name) {
  constexpr const char* children[] = {"conv1",  "bn1",    "",       "",
                                      "layer1", "layer2", "layer3", "layer4"};
  NameParser parse(name);
  int64_t child = 0;
  if (!parse.number(child) || child > 7 || parse.rest().empty()) return "";
  const std::string to = children[child];
  return to.empty() ? "" : to + std::string(parse.rest());
}

void finish_nothing(const StateDict&, Renamed&) {}

}  // namespace

const NamingScheme& transformers_scheme() {
  static const NamingScheme scheme{
      "transformers names",
      {"resnet.embedder.embedder.convolution.weight", "embedder.embedder.convolution.weight"},
      rename_transformers,
      finish_transformers};
  return scheme;
}

const NamingScheme& numbered_scheme() {
  static const NamingScheme scheme{
      "torchvision's layers by number", {"4.0.conv1.weight"}, rename_numbered, finish_nothing};
  return scheme;
}

const NamingScheme& timm_mobilenet_scheme() {
  static const NamingScheme scheme{
      "timm names (MobileNetV2)", {"conv_stem.weight"}, rename_timm_mobilenet, finish_nothing};
  return scheme;
}

const NamingScheme& timm_vgg_scheme() {
  static const NamingScheme scheme{
      "timm names (VGG)", {"pre_logits.fc1.weight"}, rename_timm_vgg, finish_timm_vgg};
  return scheme;
}

}  // namespace graft::models
