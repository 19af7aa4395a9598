// DenseNet-121/161/169/201 (Huang et al. 2017), torchvision's layout: batch norm and ReLU stand
// before the convolutions.
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

struct DenseLayout {
  const char* name;
  int64_t growth, first;
  std::array<int64_t, 4> layers;
};
constexpr DenseLayout kDenseNets[] = {{"densenet121", 32, 64, {6, 12, 24, 16}},
                                      {"densenet161", 48, 96, {6, 12, 36, 24}},
                                      {"densenet169", 32, 64, {6, 12, 32, 32}},
                                      {"densenet201", 32, 64, {6, 12, 48, 32}}};
constexpr int64_t kBottleneck = 4;  // the 1x1 convolution gives this many times `growth` channels

// norm1, ReLU, 1x1, norm2, ReLU, 3x3: `growth` channels from all that came before.
class DenseLayer final : public Module {
 public:
  DenseLayer(int64_t in, int64_t growth, double eps) {
    norm1_ = register_module("norm1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{in, eps}));
    conv1_ = register_module("conv1",
                             std::make_shared<Conv2d>(Conv2dOptions{in, kBottleneck * growth, 1}));
    norm2_ = register_module(
        "norm2", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{kBottleneck * growth, eps}));
    conv2_ = register_module(
        "conv2", std::make_shared<Conv2d>(Conv2dOptions{kBottleneck * growth, growth, 3, 1, 1}));
  }
  Tensor forward(const Tensor& x) override {
    return (*conv2_)(norm2_->normalise(*conv1_, norm1_->normalise(x, true), true));
  }

 private:
  std::shared_ptr<BatchNorm2d> norm1_, norm2_;
  std::shared_ptr<Conv2d> conv1_, conv2_;
};

class DenseBlock final : public Module {
 public:
  DenseBlock(int64_t in, int64_t growth, int64_t layers, double eps) {
    for (int64_t i = 0; i < layers; ++i)
      register_module("denselayer" + std::to_string(i + 1),
                      std::make_shared<DenseLayer>(in + i * growth, growth, eps));
  }
  Tensor forward(const Tensor& x) override {
    Tensor all = x;
    for (const auto& [name, layer] : children()) {
      const Tensor both[] = {all, (*layer)(all)};
      all = functional::concat(both, 1);
    }
    return all;
  }
};

class DenseTransition final : public Module {
 public:
  DenseTransition(int64_t in, int64_t out, double eps) {
    norm_ = register_module("norm", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{in, eps}));
    conv_ = register_module("conv", std::make_shared<Conv2d>(Conv2dOptions{in, out, 1}));
  }
  Tensor forward(const Tensor& x) override {
    return functional::average_pool((*conv_)(norm_->normalise(x, true)),
                                    {.window = ops::square_window(2, 2)});
  }

 private:
  std::shared_ptr<BatchNorm2d> norm_;
  std::shared_ptr<Conv2d> conv_;
};

const DenseLayout& dense_layout(const std::string& name) {
  for (const DenseLayout& layout : kDenseNets)
    if (name == layout.name) return layout;
  bad_input("unknown DenseNet '", name, "'");
}

// Which DenseNet has blocks of these many layers; "" for none.
std::string densenet_with(const std::vector<int64_t>& blocks) {
  for (const DenseLayout& layout : kDenseNets)
    if (std::equal(blocks.begin(), blocks.end(), layout.layers.begin(), layout.layers.end()))
      return layout.name;
  return "";
}

void build_densenet(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const DenseLayout& layout = dense_layout(config.name);
  const auto conv = build.feature(
      "conv0", std::make_shared<Conv2d>(Conv2dOptions{config.in_channels, layout.first, 7, 2, 3}));
  const auto norm = build.feature(
      "norm0", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{layout.first, config.eps}));
  const auto stem = [=](const Tensor& x) { return norm->normalise(*conv, x, true); };
  const auto pool = [](const Tensor& x) {
    return functional::max_pool(x, {.window = ops::square_window(3, 2, 1)});
  };
  if (!build.stage({"conv0", "norm0", "pool0"}, layout.first, pool, stem)) return;
  int64_t in = layout.first;
  for (size_t i = 0; i < layout.layers.size(); ++i) {
    const std::string name = "denseblock" + std::to_string(i + 1),
                      behind = "transition" + std::to_string(i + 1);
    const auto block = build.feature(
        name, std::make_shared<DenseBlock>(in, layout.growth, layout.layers[i], config.eps));
    in += layout.growth * layout.layers[i];
    if (!build.stage({name}, in, [=](const Tensor& x) { return (*block)(x); })) return;
    if (i + 1 == layout.layers.size()) break;
    const auto transition =
        build.feature(behind, std::make_shared<DenseTransition>(in, in / 2, config.eps));
    in /= 2;
    if (!build.stage({behind}, in, [=](const Tensor& x) { return (*transition)(x); })) return;
  }
  const auto last =
      build.feature("norm5", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{in, config.eps}));
  if (!build.stage({"norm5"}, in, [=](const Tensor& x) { return last->normalise(x, true); }))
    return;
  build.finish_linear("classifier", 0);
}

std::vector<int64_t> dense_blocks(const StateDict& tensors) {
  std::vector<int64_t> blocks;
  for (const auto& [name, tensor] : tensors) {
    constexpr std::string_view block = "features.denseblock", layer = ".denselayer";
    const size_t at = name.find(layer);
    if (!name.starts_with(block) || at == std::string::npos) continue;
    const int64_t b = leading_number(std::string_view(name).substr(block.size())),
                  l = leading_number(std::string_view(name).substr(at + layer.size()));
    if (b < 1 || b > 8 || l < 1) continue;
    blocks.resize(std::max(blocks.size(), static_cast<size_t>(b)));
    blocks[static_cast<size_t>(b - 1)] = std::max(blocks[static_cast<size_t>(b - 1)], l);
  }
  return blocks;
}

std::string densenet_name_of(const StateDict& tensors) {
  if (!tensors.contains("features.conv0.weight")) return "";
  const auto blocks = dense_blocks(tensors);
  const std::string name = densenet_with(blocks);
  GRAFT_CHECK(!name.empty(), "the names are those of a DenseNet, but dense blocks of ",
              join(blocks, ", "), " layers are no DenseNet-121, 161, 169 or 201");
  return name;
}

std::string dense_norm_behind(const std::string&, const std::string& conv) {
  const size_t dot = conv.rfind('.');
  if (dot == std::string::npos || !conv.starts_with("features.")) return "";
  const std::string parent = conv.substr(0, dot + 1), last = conv.substr(dot + 1);
  return last == "conv0" ? parent + "norm0" : last == "conv1" ? parent + "norm2" : "";
}

}  // namespace

const FeatureFamily& densenet_family() {
  static const FeatureFamily family{
      .names = {"densenet121", "densenet161", "densenet169", "densenet201"},
      .build = build_densenet,
      .head = "classifier",
      .first = "features.conv0.weight",
      .name_of = densenet_name_of,
      .norm_behind = dense_norm_behind};
  return family;
}

}  // namespace graft::models
