#include "graft/models/cifar_resnet.h"

#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"

namespace graft::models {
namespace {

class CifarBlock final : public Module {
 public:
  CifarBlock(int64_t in, int64_t out, int64_t stride, double eps)
      : in_(in), out_(out), stride_(stride) {
    conv1_ =
        register_module("conv1", std::make_shared<Conv2d>(Conv2dOptions{in, out, 3, stride, 1}));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, eps}));
    conv2_ = register_module("conv2", std::make_shared<Conv2d>(Conv2dOptions{out, out, 3, 1, 1}));
    bn2_ = register_module("bn2", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, eps}));
  }

  Tensor forward(const Tensor& x) override {
    const Tensor y = bn1_->normalise(*conv1_, x, true);
    return bn2_->normalise(*conv2_, y, true, shortcut(x));
  }

 private:
  // Option A: every second pixel, and zero channels on both sides. A 1x1 average pool with stride
  // takes the pixels.
  Tensor shortcut(const Tensor& x) const {
    if (stride_ == 1 && in_ == out_) return x;
    const Tensor picked = functional::average_pool(x, {.window = ops::square_window(1, stride_)});
    const int64_t before = (out_ - in_) / 2;
    return functional::pad(picked, {{0, before, 0, 0}, {0, out_ - in_ - before, 0, 0}, 0});
  }

  int64_t in_, out_, stride_;
  std::shared_ptr<Conv2d> conv1_, conv2_;
  std::shared_ptr<BatchNorm2d> bn1_, bn2_;
};

}  // namespace

CifarResNet::CifarResNet(const CifarResNetConfig& config)
    : config_(config), stages_{"stem", "layer1", "layer2", "layer3", "pool"} {
  GRAFT_CHECK(
      config.depth >= 8 && config.depth % 6 == 2 && config.classes >= 0 && config.in_channels >= 1,
      "a CIFAR ResNet has 6n+2 layers; got depth ", config.depth, ", classes ", config.classes);
  conv1_ = register_module(
      "conv1", std::make_shared<Conv2d>(Conv2dOptions{config.in_channels, 16, 3, 1, 1}));
  bn1_ = register_module("bn1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{16, config.eps}));
  int64_t in = 16;
  for (int64_t stage = 0; stage < 3; ++stage) {
    const auto layer = std::make_shared<Sequential>();
    const int64_t out = int64_t{16} << stage;
    for (int64_t block = 0; block < (config.depth - 2) / 6; ++block, in = out)
      layer->append(
          std::make_shared<CifarBlock>(in, out, block == 0 && stage > 0 ? 2 : 1, config.eps));
    register_module("layer" + std::to_string(stage + 1), layer);
  }
  if (config.classes == 0) return;
  register_module("linear", std::make_shared<Linear>(features(), config.classes));
  stages_.push_back("linear");
}

void CifarResNet::replace_head(int64_t classes) {
  GRAFT_CHECK(classes >= 1, "a head needs at least one class, got ", classes);
  const auto head = std::make_shared<Linear>(features(), classes);
  if (config_.classes > 0) {
    replace_child("linear", head);
  } else {
    register_module("linear", head);
    stages_.push_back("linear");
  }
  config_.classes = classes;
}

std::vector<std::string> CifarResNet::stage_paths(size_t stage) const {
  const std::string& name = stages_.at(stage);
  if (name == "stem") return {"conv1", "bn1"};
  if (name == "pool") return {};
  return {name};
}

Tensor CifarResNet::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  GRAFT_CHECK(begin > 0 || (x.rank() == 4 && x.shape()[1] == config_.in_channels), "cifar_resnet",
              config_.depth, ": input ", x.shape(), ", expected [N,", config_.in_channels, ",H,W]");
  Tensor y = x;
  for (size_t stage = begin; stage < end; ++stage) {
    const std::string& name = stages_[stage];
    if (name == "stem")
      y = bn1_->normalise(*conv1_, y, true);
    else if (name == "pool")
      y = functional::flatten(functional::global_average_pool(y));
    else
      y = (*find(name))(y);
  }
  return y;
}

}  // namespace graft::models
