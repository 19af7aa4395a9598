// The ResNet family's table: a row a name.
#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/models/resnet.h"

namespace graft::models {
namespace {

using Depths = std::array<int64_t, 4>;
constexpr Depths k10{1, 1, 1, 1}, k18{2, 2, 2, 2}, k34{3, 4, 6, 3}, k101{3, 4, 23, 3},
    k152{3, 8, 36, 3};

enum class Stem : unsigned char { plain, deep, tiered };

struct ResNetRow {
  const char* name;
  Depths depths;
  bool bottleneck;
  int64_t groups = 1, base_width = 64;
  Stem stem = Stem::plain;
  bool average_down = false;
  ChannelAttention attention = ChannelAttention::none;
};

constexpr ChannelAttention kNone = ChannelAttention::none, kSqueeze = ChannelAttention::squeeze,
                           kEca = ChannelAttention::eca;

// Of networks with the same blocks in the first stages, the first is taken for a file that has no
// more.
constexpr ResNetRow kResNets[] = {
    {"resnet18", k18, false},
    {"resnet34", k34, false},
    {"resnet50", k34, true},
    {"resnet101", k101, true},
    {"resnet152", k152, true},
    {"resnet26", k18, true},
    {"resnext50_32x4d", k34, true, 32, 4},
    {"resnext101_32x4d", k101, true, 32, 4},
    {"resnext101_32x8d", k101, true, 32, 8},
    {"resnext101_64x4d", k101, true, 64, 4},
    {"wide_resnet50_2", k34, true, 1, 128},
    {"wide_resnet101_2", k101, true, 1, 128},
    {"resnet50c", k34, true, 1, 64, Stem::deep},
    {"resnet18d", k18, false, 1, 64, Stem::deep, true},
    {"resnet26d", k18, true, 1, 64, Stem::deep, true},
    {"resnet34d", k34, false, 1, 64, Stem::deep, true},
    {"resnet50d", k34, true, 1, 64, Stem::deep, true},
    {"resnet101d", k101, true, 1, 64, Stem::deep, true},
    {"resnet152d", k152, true, 1, 64, Stem::deep, true},
    {"resnext50d_32x4d", k34, true, 32, 4, Stem::deep, true},
    {"resnet10t", k10, false, 1, 64, Stem::tiered, true},
    {"resnet14t", k10, true, 1, 64, Stem::tiered, true},
    {"resnet26t", k18, true, 1, 64, Stem::tiered, true},
    {"resnet50t", k34, true, 1, 64, Stem::tiered, true},
    {"seresnet18", k18, false, 1, 64, Stem::plain, false, kSqueeze},
    {"seresnet34", k34, false, 1, 64, Stem::plain, false, kSqueeze},
    {"seresnet50", k34, true, 1, 64, Stem::plain, false, kSqueeze},
    {"seresnet101", k101, true, 1, 64, Stem::plain, false, kSqueeze},
    {"seresnet152", k152, true, 1, 64, Stem::plain, false, kSqueeze},
    {"seresnext50_32x4d", k34, true, 32, 4, Stem::plain, false, kSqueeze},
    {"seresnext101_32x4d", k101, true, 32, 4, Stem::plain, false, kSqueeze},
    {"ecaresnet50d", k34, true, 1, 64, Stem::deep, true, kEca},
    {"ecaresnet101d", k101, true, 1, 64, Stem::deep, true, kEca},
};

ResNetConfig config_of(const ResNetRow& row) {
  ResNetConfig config;
  config.name = row.name;
  config.depths = row.depths;
  config.bottleneck = row.bottleneck;
  config.groups = row.groups;
  config.base_width = row.base_width;
  if (row.stem == Stem::deep) config.stem = {32, 32, 64};
  if (row.stem == Stem::tiered) config.stem = {24, 32, 64};
  config.average_down = row.average_down;
  config.attention = row.attention;
  return config;
}

}  // namespace

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  for (const ResNetRow& row : kResNets) names.emplace_back(row.name);
  return names;
}

ResNetConfig resnet_config(std::string_view name) {
  for (const ResNetRow& row : kResNets)
    if (name == row.name) return config_of(row);
  bad_input("unknown ResNet '", name, "': expected one of ", join(resnet_names()));
}

bool is_same_kind(const ResNetConfig& a, const ResNetConfig& b) {
  return a.bottleneck == b.bottleneck && a.groups == b.groups && a.base_width == b.base_width &&
         a.stem == b.stem && a.small_stem == b.small_stem && a.average_down == b.average_down &&
         a.attention == b.attention;
}

std::string variant_text(const ResNetConfig& config) {
  std::string text;
  if (config.groups > 1)
    text += str(", ", config.groups, " groups of ", config.base_width, " channels");
  else if (config.base_width != 64)
    text += str(", blocks of ", config.base_width, " channels");
  if (!config.stem.empty()) text += str(", stem of 3x3 convolutions ", join(config.stem, "-"));
  if (config.small_stem) text += ", 3x3 stem without a stride";
  if (config.average_down) text += ", averaging shortcuts";
  if (config.attention == kSqueeze) text += ", squeeze and excitation";
  if (config.attention == kEca) text += ", ECA";
  return text;
}

std::string resnet_norm_behind(const ResNetConfig& config, const std::string& conv) {
  const size_t dot = conv.rfind('.');
  const std::string parent = dot == std::string::npos ? "" : conv.substr(0, dot + 1),
                    last = conv.substr(parent.size());
  if (parent.ends_with("downsample."))  // "layer1.0.downsample.0" -> "layer1.0.downsample.1"
    return last == (config.average_down ? "1" : "0") ? str(parent, config.average_down ? 2 : 1)
                                                     : "";
  if (parent == "conv1.") {  // conv, norm, ReLU, conv, norm, ReLU ... conv, and bn1 behind the last
    for (size_t i = 0; i < config.stem.size(); ++i)
      if (last == str(3 * i)) return i + 1 == config.stem.size() ? "bn1" : str("conv1.", 3 * i + 1);
    return "";
  }
  if (last.size() == 5 && last.starts_with("conv")) return parent + "bn" + last.substr(4);
  return "";
}

}  // namespace graft::models
