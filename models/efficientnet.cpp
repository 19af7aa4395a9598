// EfficientNet-B0 to B4 (Tan and Le 2019), torchvision's layout. Without stochastic depth, which
// only training has.
#include <algorithm>
#include <cmath>

#include "graft/models/feature_family.h"
#include "graft/models/inverted_residual.h"
#include "graft/models/squeeze_excitation.h"

namespace graft::models {
namespace {

struct EfficientLayout {
  const char* name;
  double width, depth, dropout;
};
constexpr EfficientLayout kEfficientNets[] = {{"efficientnet_b0", 1.0, 1.0, 0.2},
                                              {"efficientnet_b1", 1.0, 1.1, 0.2},
                                              {"efficientnet_b2", 1.1, 1.2, 0.3},
                                              {"efficientnet_b3", 1.2, 1.4, 0.3},
                                              {"efficientnet_b4", 1.4, 1.8, 0.4}};

struct EfficientGroup {
  int64_t expansion, kernel, stride, out, blocks;
};
constexpr EfficientGroup kEfficientGroups[] = {
    {1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
    {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};

int64_t scaled(const EfficientLayout& layout, int64_t width) {
  return rounded_width(static_cast<double>(width) * layout.width, 8);
}
int64_t repeated(const EfficientLayout& layout, int64_t blocks) {
  return std::llround(std::ceil(static_cast<double>(blocks) * layout.depth));
}

const EfficientLayout& efficient_layout(const std::string& name) {
  for (const EfficientLayout& layout : kEfficientNets)
    if (name == layout.name) return layout;
  bad_input("unknown EfficientNet '", name, "'");
}

void build_efficientnet(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const EfficientLayout& layout = efficient_layout(config.name);
  constexpr BlockActivation silu = BlockActivation::silu;
  int64_t index = 0, in = scaled(layout, 32);
  const auto add = [&](std::shared_ptr<Module> module, int64_t out) {
    const std::string name = std::to_string(index++);
    build.feature(name, module);
    return build.stage({name}, out, [module](const Tensor& x) { return (*module)(x); });
  };
  if (!add(std::make_shared<ConvNormActivation>(Conv2dOptions{config.in_channels, in, 3, 2},
                                                config.eps, silu),
           in))
    return;
  for (const EfficientGroup& group : kEfficientGroups) {
    const auto blocks = std::make_shared<Sequential>();
    const int64_t out = scaled(layout, group.out);
    for (int64_t block = 0; block < repeated(layout, group.blocks); ++block, in = out)
      blocks->append(std::make_shared<InvertedBlock>(InvertedBlockOptions{
          in, rounded_width(static_cast<double>(in * group.expansion), 8), out, group.kernel,
          block == 0 ? group.stride : 1, std::max<int64_t>(1, in / 4), silu, config.eps}));
    if (!add(blocks, out)) return;
  }
  if (!add(std::make_shared<ConvNormActivation>(Conv2dOptions{in, 4 * in, 1}, config.eps, silu),
           4 * in))
    return;
  build.finish_linear("classifier.1", layout.dropout);
}

// By the width of the third group and the blocks of the fourth.
std::string efficientnet_name_of(const StateDict& tensors) {
  if (!tensors.contains("features.1.0.block.0.0.weight")) return "";
  const Tensor third = tensors.find("features.3.0.block.3.0.weight");
  const int64_t width = third.defined() && third.rank() == 4 ? third.size(0) : 0;
  int64_t blocks = 0;
  while (tensors.contains(str("features.4.", blocks, ".block.0.0.weight"))) ++blocks;
  for (const EfficientLayout& layout : kEfficientNets)
    if (scaled(layout, 40) == width && repeated(layout, 3) == blocks) return layout.name;
  bad_input("the names are those of an EfficientNet, but ", width,
            " channels behind features.3 and ", blocks,
            " blocks in features.4 are no EfficientNet-B0 to B4");
}

}  // namespace

const FeatureFamily& efficientnet_family() {
  static const FeatureFamily family = [] {
    FeatureFamily f{.build = build_efficientnet,
                    .head = "classifier.1",
                    .first = "features.0.0.weight",
                    .name_of = efficientnet_name_of,
                    .norm_behind = norm_beside};
    for (const EfficientLayout& layout : kEfficientNets) f.names.emplace_back(layout.name);
    return f;
  }();
  return family;
}

}  // namespace graft::models
