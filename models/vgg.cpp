// VGG-11/13/16/19 with and without batch norm (Simonyan & Zisserman 2015), torchvision's layout.
#include <algorithm>

#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

// Convolutions a block, each block ending in a 2x2 max pool.
struct VggLayout {
  const char* name;
  std::array<int, 5> convolutions;
};
constexpr VggLayout kVggs[] = {{"vgg11", {1, 1, 2, 2, 2}},
                               {"vgg13", {2, 2, 2, 2, 2}},
                               {"vgg16", {2, 2, 3, 3, 3}},
                               {"vgg19", {2, 2, 4, 4, 4}}};
constexpr int64_t kVggWidths[] = {64, 128, 256, 512, 512};

const VggLayout& vgg_layout(std::string_view name) {
  for (const VggLayout& layout : kVggs)
    if (name.substr(0, 5) == layout.name) return layout;
  bad_input("unknown VGG '", name, "'");
}

std::vector<int64_t> vgg_convolutions(const VggLayout& layout, bool normed) {
  std::vector<int64_t> at;
  int64_t index = 0;
  for (const int count : layout.convolutions) {
    for (int i = 0; i < count; ++i, index += normed ? 3 : 2) at.push_back(index);
    ++index;
  }
  return at;
}

// Which VGG has 4-D weights at these children of `features`; "" for none.
std::string vgg_with(const std::vector<int64_t>& convolutions) {
  for (const VggLayout& layout : kVggs)
    for (const bool normed : {false, true})
      if (vgg_convolutions(layout, normed) == convolutions)
        return std::string(layout.name) + (normed ? "_bn" : "");
  return "";
}

void build_vgg(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const bool normed = config.name.ends_with("_bn");
  const VggLayout& layout = vgg_layout(config.name);
  int64_t index = 0, in = config.in_channels;
  for (size_t block = 0; block < layout.convolutions.size(); ++block) {
    const int64_t out = kVggWidths[block];
    for (int i = 0; i < layout.convolutions[block]; ++i, in = out) {
      const std::string name = std::to_string(index), norm_name = std::to_string(index + 1);
      const auto conv = build.feature(
          name, std::make_shared<Conv2d>(Conv2dOptions{in, out, 3, 1, 1, 1, 1, true}));
      index += normed ? 3 : 2;
      if (normed) {
        const auto norm = build.feature(
            norm_name, std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, config.eps}));
        if (!build.stage({name, norm_name}, out,
                         [=](const Tensor& x) { return norm->normalise(*conv, x, true); }))
          return;
      } else if (!build.stage({name}, out,
                              [=](const Tensor& x) { return functional::relu((*conv)(x)); })) {
        return;
      }
    }
    const auto pool = [](const Tensor& x) {
      return functional::max_pool(x, {.window = ops::square_window(2, 2)});
    };
    if (!build.stage({std::to_string(index++)}, out, pool)) return;
  }
  build.finish_vgg();
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

std::string vgg_name_of(const StateDict& tensors) {
  const auto convolutions = feature_convolutions(tensors);
  if (convolutions.size() < 2) return "";
  const std::string name = vgg_with(convolutions);
  GRAFT_CHECK(!name.empty(), "the names are those of a VGG, but convolutions at features.",
              join(convolutions, ", "), " are no VGG-11, 13, 16 or 19");
  return name;
}

std::string vgg_norm_behind(const std::string& name, const std::string& conv) {
  return name.ends_with("_bn") ? norm_beside(name, conv) : "";
}

}  // namespace

const FeatureFamily& vgg_family() {
  static const FeatureFamily family{
      .names = {"vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"},
      .build = build_vgg,
      .head = "classifier.6",
      .first = "features.0.weight",
      .name_of = vgg_name_of,
      .hidden = {"classifier.0", "classifier.3"},
      .norm_behind = vgg_norm_behind,
      .biased_norms = true};
  return family;
}

}  // namespace graft::models
