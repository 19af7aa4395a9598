// MobileNetV2 (Sandler et al. 2018) of width 1, torchvision's layout; under kMobileNetTf with
// TensorFlow's padding.
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

// Convolution "0", batch norm "1", ReLU6. `same`: padded as TensorFlow does where it strides.
class ConvNormRelu6 final : public Module {
 public:
  ConvNormRelu6(const Conv2dOptions& options, double eps, bool same = false)
      : same_(same && options.stride == 2) {
    conv_ = register_module("0", std::make_shared<Conv2d>(options));
    if (same_) conv_->mark_run_by_parts();  // its weight alone is used
    norm_ = register_module(
        "1", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{options.out_channels, eps}));
  }
  Tensor forward(const Tensor& x) override {
    return functional::relu6(same_ ? (*norm_)(convolve_same(x))
                                   : norm_->normalise(*conv_, x, false));
  }

 private:
  // 3x3 with stride 2 and as much padding as half the extent, rounded up, needs; one more at the
  // end than at the start.
  Tensor convolve_same(const Tensor& x) {
    ops::ConvAttributes attributes{.window = ops::square_window(3, 2, 1),
                                   .groups = conv_->options().groups};
    for (size_t axis = 0; axis < 2; ++axis)
      if (x.size(static_cast<int>(axis) + 2) % 2 == 0) attributes.window.pad_begin[axis] = 0;
    return functional::conv(x, conv_->weight(), Tensor(), attributes);
  }

  bool same_;
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
};

// 1x1 expansion (none for a factor of 1), 3x3 depthwise, 1x1 projection without a ReLU; the input
// added where it fits.
class InvertedResidual final : public Module {
 public:
  InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t expansion, double eps,
                   bool same)
      : adds_(stride == 1 && in == out) {
    const int64_t hidden = in * expansion;
    steps_ = register_module("conv", std::make_shared<Sequential>());
    steps_->mark_run_by_parts();
    if (expansion != 1)
      steps_->append(std::make_shared<ConvNormRelu6>(Conv2dOptions{in, hidden, 1}, eps));
    steps_->append(std::make_shared<ConvNormRelu6>(
        Conv2dOptions{hidden, hidden, 3, stride, 1, 1, hidden}, eps, same));
    projection_ = std::make_shared<Conv2d>(Conv2dOptions{hidden, out, 1});
    steps_->append(projection_);
    last_ = std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, eps});
    steps_->append(last_);
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    const auto& steps = steps_->children();
    for (size_t i = 0; i + 2 < steps.size(); ++i) y = (*steps[i].second)(y);
    return last_->normalise(*projection_, y, false, adds_ ? x : Tensor());
  }

 private:
  bool adds_;
  std::shared_ptr<Sequential> steps_;
  std::shared_ptr<Conv2d> projection_;
  std::shared_ptr<BatchNorm2d> last_;
};

struct InvertedGroup {
  int64_t expansion, channels, blocks, stride;
};
constexpr InvertedGroup kInvertedGroups[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2},
                                             {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2},
                                             {6, 320, 1, 1}};

void build_mobilenet(FeatureBuilder& build) {
  const FeatureConfig& config = build.config();
  const bool same = config.name == kMobileNetTf;
  int64_t index = 0, in = config.in_channels;
  // One child of `features`, a stage of its own.
  const auto add = [&](std::shared_ptr<Module> module, int64_t out) {
    const std::string name = std::to_string(index++);
    build.feature(name, module);
    in = out;
    return build.stage({name}, out, [module](const Tensor& x) { return (*module)(x); });
  };
  if (!add(std::make_shared<ConvNormRelu6>(Conv2dOptions{in, 32, 3, 2, 1}, config.eps, same), 32))
    return;
  for (const InvertedGroup& group : kInvertedGroups)
    for (int64_t block = 0; block < group.blocks; ++block) {
      const int64_t stride = block == 0 ? group.stride : 1;
      if (!add(std::make_shared<InvertedResidual>(in, group.channels, stride, group.expansion,
                                                  config.eps, same),
               group.channels))
        return;
    }
  if (!add(std::make_shared<ConvNormRelu6>(Conv2dOptions{in, 1280, 1}, config.eps), 1280)) return;
  build.finish_linear("classifier.1", 0.2);
}

std::string mobilenet_v2_name_of(const StateDict& tensors) {
  return tensors.contains("features.0.0.weight") && tensors.contains("features.1.conv.0.0.weight")
             ? "mobilenet_v2"
             : "";
}

}  // namespace

const FeatureFamily& mobilenet_v2_family() {
  static const FeatureFamily family{.names = {"mobilenet_v2", kMobileNetTf},
                                    .build = build_mobilenet,
                                    .head = "classifier.1",
                                    .first = "features.0.0.weight",
                                    .name_of = mobilenet_v2_name_of,
                                    .norm_behind = norm_beside};
  return family;
}

}  // namespace graft::models
