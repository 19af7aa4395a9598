// MobileNetV3, small and large (Howard et al. 2019) of width 1, torchvision's layout.
#include <span>

#include "graft/models/feature_family.h"
#include "graft/models/inverted_residual.h"
#include "graft/models/squeeze_excitation.h"

namespace graft::models {
namespace {

constexpr BlockActivation kRelu = BlockActivation::relu, kSwish = BlockActivation::hard_swish;

struct V3Block {
  int64_t kernel, hidden, out;
  bool squeezes;
  BlockActivation activation;
  int64_t stride;
};
constexpr V3Block kLarge[] = {
    {3, 16, 16, false, kRelu, 1},   {3, 64, 24, false, kRelu, 2},   {3, 72, 24, false, kRelu, 1},
    {5, 72, 40, true, kRelu, 2},    {5, 120, 40, true, kRelu, 1},   {5, 120, 40, true, kRelu, 1},
    {3, 240, 80, false, kSwish, 2}, {3, 200, 80, false, kSwish, 1}, {3, 184, 80, false, kSwish, 1},
    {3, 184, 80, false, kSwish, 1}, {3, 480, 112, true, kSwish, 1}, {3, 672, 112, true, kSwish, 1},
    {5, 672, 160, true, kSwish, 2}, {5, 960, 160, true, kSwish, 1}, {5, 960, 160, true, kSwish, 1}};
constexpr V3Block kSmall[] = {
    {3, 16, 16, true, kRelu, 2},   {3, 72, 24, false, kRelu, 2},  {3, 88, 24, false, kRelu, 1},
    {5, 96, 40, true, kSwish, 2},  {5, 240, 40, true, kSwish, 1}, {5, 240, 40, true, kSwish, 1},
    {5, 120, 48, true, kSwish, 1}, {5, 144, 48, true, kSwish, 1}, {5, 288, 96, true, kSwish, 2},
    {5, 576, 96, true, kSwish, 1}, {5, 576, 96, true, kSwish, 1}};

void build_mobilenet_v3(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const bool small = config.name == "mobilenet_v3_small";
  const auto blocks = small ? std::span<const V3Block>(kSmall) : std::span<const V3Block>(kLarge);
  int64_t index = 0, in = 16;
  const auto add = [&](std::shared_ptr<Module> module, int64_t out) {
    const std::string name = std::to_string(index++);
    build.feature(name, module);
    in = out;
    return build.stage({name}, out, [module](const Tensor& x) { return (*module)(x); });
  };
  if (!add(std::make_shared<ConvNormActivation>(Conv2dOptions{config.in_channels, 16, 3, 2},
                                                config.eps, kSwish),
           16))
    return;
  for (const V3Block& b : blocks)
    if (!add(std::make_shared<InvertedBlock>(InvertedBlockOptions{
                 in, b.hidden, b.out, b.kernel, b.stride,
                 b.squeezes ? rounded_width(static_cast<double>(b.hidden / 4), 8) : 0, b.activation,
                 config.eps}),
             b.out))
      return;
  const int64_t last = 6 * in;
  if (!add(std::make_shared<ConvNormActivation>(Conv2dOptions{in, last, 1}, config.eps, kSwish),
           last))
    return;
  build.finish_hidden(small ? 1024 : 1280, ops::Unary::hard_swish, 0.2);
}

std::string mobilenet_v3_name_of(const StateDict& tensors) {
  if (!tensors.contains("features.1.block.0.0.weight")) return "";
  return tensors.contains("features.16.0.weight") ? "mobilenet_v3_large" : "mobilenet_v3_small";
}

}  // namespace

const FeatureFamily& mobilenet_v3_family() {
  static const FeatureFamily family{.names = {"mobilenet_v3_small", "mobilenet_v3_large"},
                                    .build = build_mobilenet_v3,
                                    .head = "classifier.3",
                                    .first = "features.0.0.weight",
                                    .name_of = mobilenet_v3_name_of,
                                    .hidden = {"classifier.0"},
                                    .norm_behind = norm_beside,
                                    .eps = 1e-3};
  return family;
}

}  // namespace graft::models
