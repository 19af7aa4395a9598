#include "graft/models/resnet.h"

#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"

namespace graft::models {
namespace {

constexpr int64_t kWidths[4] = {64, 128, 256, 512};

struct BlockOptions {
  int64_t in, width, stride;
  bool bottleneck, stride_in_3x3, project;
  double eps;
};

// conv + bn + relu, twice or three times, with a shortcut added before the last ReLU.
class Block final : public Module {
 public:
  explicit Block(const BlockOptions& o) {
    const int64_t out = o.width * (o.bottleneck ? 4 : 1);
    if (o.bottleneck) {
      add_layer({o.in, o.width, 1, o.stride_in_3x3 ? 1 : o.stride, 0}, o.eps);
      add_layer({o.width, o.width, 3, o.stride_in_3x3 ? o.stride : 1, 1}, o.eps);
      add_layer({o.width, out, 1, 1, 0}, o.eps);
    } else {
      add_layer({o.in, o.width, 3, o.stride, 1}, o.eps);
      add_layer({o.width, out, 3, 1, 1}, o.eps);
    }
    if (!o.project) return;
    projection_ = std::make_shared<Conv2d>(Conv2dOptions{o.in, out, 1, o.stride, 0});
    projection_norm_ = std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, o.eps});
    register_module("downsample",
                    std::make_shared<Sequential>(std::initializer_list<std::shared_ptr<Module>>{
                        projection_, projection_norm_}));
  }

  Tensor forward(const Tensor& x) override {
    const Tensor shortcut = projection_ ? projection_norm_->normalise(*projection_, x, false) : x;
    Tensor y = x;
    for (size_t i = 0; i < convs_.size(); ++i) {
      const bool last = i + 1 == convs_.size();
      y = norms_[i]->normalise(*convs_[i], y, true, last ? shortcut : Tensor());
    }
    return y;
  }

 private:
  void add_layer(const Conv2dOptions& options, double eps) {
    const std::string number = std::to_string(convs_.size() + 1);
    convs_.push_back(register_module("conv" + number, std::make_shared<Conv2d>(options)));
    norms_.push_back(register_module(
        "bn" + number,
        std::make_shared<BatchNorm2d>(BatchNorm2dOptions{options.out_channels, eps})));
  }

  std::vector<std::shared_ptr<Conv2d>> convs_;
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;
  std::shared_ptr<Conv2d> projection_;
  std::shared_ptr<BatchNorm2d> projection_norm_;
};

ops::MaxPoolAttributes stem_pool(const ResNetConfig& config) {
  ops::MaxPoolAttributes attributes{.window = ops::square_window(3, 2, 0)};
  attributes.window.pad_begin = {config.pool_pad_begin, config.pool_pad_begin, 0};
  attributes.window.pad_end = {config.pool_pad_end, config.pool_pad_end, 0};
  return attributes;
}

}  // namespace

ResNetConfig resnet_config(std::string_view name) {
  ResNetConfig config;
  config.name = name;
  config.bottleneck = name != "resnet18" && name != "resnet34";
  if (name == "resnet18")
    config.depths = {2, 2, 2, 2};
  else if (name == "resnet34" || name == "resnet50")
    config.depths = {3, 4, 6, 3};
  else if (name == "resnet101")
    config.depths = {3, 4, 23, 3};
  else if (name == "resnet152")
    config.depths = {3, 8, 36, 3};
  else
    bad_input("unknown ResNet '", name,
              "': expected resnet18, resnet34, resnet50, resnet101 or resnet152");
  return config;
}

ResNet::ResNet(const ResNetConfig& config) : config_(config) {
  GRAFT_CHECK(
      config.stages >= 1 && config.stages <= 4 && config.in_channels >= 1 && config.classes >= 0,
      "ResNet: ", config.stages, " stages, ", config.in_channels, " input channels, ",
      config.classes, " classes");
  register_module("conv1",
                  std::make_shared<Conv2d>(Conv2dOptions{config.in_channels, 64, 7, 2, 3}));
  register_module("bn1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{64, config.eps}));
  stages_ = {"stem"};
  int64_t in = 64;
  for (size_t stage = 0; stage < static_cast<size_t>(config.stages); ++stage) {
    const auto layer = std::make_shared<Sequential>();
    const int64_t width = kWidths[stage], out = width * (config.bottleneck ? 4 : 1);
    for (int64_t block = 0; block < config.depths[stage]; ++block, in = out) {
      const int64_t stride = block == 0 && stage > 0 ? 2 : 1;
      layer->append(std::make_shared<Block>(BlockOptions{in, width, stride, config.bottleneck,
                                                         config.stride_in_3x3,
                                                         stride != 1 || in != out, config.eps}));
    }
    stages_.push_back("layer" + std::to_string(stage + 1));
    register_module(stages_.back(), layer);
  }
  stages_.push_back("pool");
  if (config.classes > 0) {
    register_module("fc", std::make_shared<Linear>(in, config.classes));
    stages_.push_back("fc");
  }
}

int64_t ResNet::features() const {
  return kWidths[config_.stages - 1] * (config_.bottleneck ? 4 : 1);
}

void ResNet::replace_head(int64_t classes) {
  GRAFT_CHECK(classes >= 1, "a head needs at least one class, got ", classes);
  const auto head = std::make_shared<Linear>(features(), classes);
  if (config_.classes > 0) {
    replace_child("fc", head);
  } else {
    register_module("fc", head);
    stages_.push_back("fc");
  }
  config_.classes = classes;
}

std::vector<std::string> ResNet::stage_paths(size_t stage) const {
  const std::string& name = stages_.at(stage);
  if (name == "stem") return {"conv1", "bn1"};
  if (name == "pool") return {};
  return {name};
}

Tensor ResNet::run_stage(const std::string& stage, const Tensor& x) {
  if (stage == "stem") {
    auto* norm = static_cast<BatchNorm2d*>(find("bn1"));
    return functional::max_pool(norm->normalise(static_cast<Conv2d&>(*find("conv1")), x, true),
                                stem_pool(config_));
  }
  if (stage == "pool") return functional::flatten(functional::global_average_pool(x));
  return find(stage)->forward(x);
}

Tensor ResNet::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  GRAFT_CHECK(begin > 0 || (x.rank() == 4 && x.shape()[1] == config_.in_channels), config_.name,
              ": input ", x.shape(), ", expected [N,", config_.in_channels, ",H,W]");
  Tensor y = x;
  for (size_t stage = begin; stage < end; ++stage) y = run_stage(stages_[stage], y);
  return y;
}

}  // namespace graft::models
