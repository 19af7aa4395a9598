// SqueezeNet 1.0 and 1.1 (Iandola et al. 2016), torchvision's layout.
#include <array>

#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

// A 1x1 convolution squeezes, a 1x1 and a 3x3 one expand it; their results side by side.
class Fire final : public Module {
 public:
  Fire(int64_t in, int64_t squeezed, int64_t expanded) {
    squeeze_ = register_module(
        "squeeze", std::make_shared<Conv2d>(Conv2dOptions{in, squeezed, 1, 1, 0, 1, 1, true}));
    expand1x1_ = register_module("expand1x1", std::make_shared<Conv2d>(Conv2dOptions{
                                                  squeezed, expanded, 1, 1, 0, 1, 1, true}));
    expand3x3_ = register_module("expand3x3", std::make_shared<Conv2d>(Conv2dOptions{
                                                  squeezed, expanded, 3, 1, 1, 1, 1, true}));
  }
  Tensor forward(const Tensor& x) override {
    const Tensor squeezed = functional::relu((*squeeze_)(x));
    const Tensor both[] = {functional::relu((*expand1x1_)(squeezed)),
                           functional::relu((*expand3x3_)(squeezed))};
    return functional::concat(both, 1);
  }

 private:
  std::shared_ptr<Conv2d> squeeze_, expand1x1_, expand3x3_;
};

struct FireWidths {
  int64_t squeezed, expanded;
};
constexpr FireWidths kFires[] = {{16, 64},  {16, 64},  {32, 128}, {32, 128},
                                 {48, 192}, {48, 192}, {64, 256}, {64, 256}};

void build_squeezenet(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const bool first_version = config.name == "squeezenet1_0";
  const Conv2dOptions stem = first_version
                                 ? Conv2dOptions{config.in_channels, 96, 7, 2, 0, 1, 1, true}
                                 : Conv2dOptions{config.in_channels, 64, 3, 2, 0, 1, 1, true};
  const auto pool = [](const Tensor& x) {
    return functional::max_pool(x, {.window = ops::square_window(3, 2), .ceil_mode = true});
  };
  const std::vector<int64_t> pools =
      first_version ? std::vector<int64_t>{2, 6, 11} : std::vector<int64_t>{2, 5, 8};
  const auto conv = build.feature("0", std::make_shared<Conv2d>(stem));
  int64_t in = stem.out_channels;
  if (!build.stage({"0"}, in, [=](const Tensor& x) { return functional::relu((*conv)(x)); }))
    return;
  size_t fire = 0;
  for (int64_t index = 2; index <= 12; ++index) {
    const std::string name = std::to_string(index);
    if (std::find(pools.begin(), pools.end(), index) != pools.end()) {
      if (!build.stage({name}, in, pool)) return;
      continue;
    }
    const FireWidths widths = kFires[fire++];
    const auto module =
        build.feature(name, std::make_shared<Fire>(in, widths.squeezed, widths.expanded));
    in = 2 * widths.expanded;
    if (!build.stage({name}, in, [=](const Tensor& x) { return (*module)(x); })) return;
  }
  build.finish_squeezenet();
}

std::string squeezenet_name_of(const StateDict& tensors) {
  if (!tensors.contains("features.3.squeeze.weight")) return "";
  return tensors.contains("features.5.squeeze.weight") ? "squeezenet1_0" : "squeezenet1_1";
}

}  // namespace

const FeatureFamily& squeezenet_family() {
  static const FeatureFamily family{.names = {"squeezenet1_0", "squeezenet1_1"},
                                    .build = build_squeezenet,
                                    .head = "classifier.1",
                                    .first = "features.0.weight",
                                    .name_of = squeezenet_name_of,
                                    .norm_behind = no_norm_behind};
  return family;
}

}  // namespace graft::models
