// The FCN head (Long et al. 2015) and the DeepLabV3 head (Chen et al. 2017) as torchvision has
// them, under its names: one map of the encoder, its logits enlarged to the image's size.
#include <array>

#include "graft/layers/functional/image.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/modules/dropout.h"
#include "graft/layers/modules/sequential.h"
#include "graft/models/feature_builder.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

struct BranchOptions {
  int64_t in, out, kernel = 1, dilation = 1;
  int first = 0;  // number of the convolution among its siblings
};

// Convolution, batch norm and ReLU as three children, numbered.
class NumberedBranch final : public Module {
 public:
  explicit NumberedBranch(const BranchOptions& o) {
    const int64_t pad = o.kernel / 2 * o.dilation;
    conv_ = register_module(
        std::to_string(o.first),
        std::make_shared<Conv2d>(Conv2dOptions{o.in, o.out, o.kernel, 1, pad, o.dilation}));
    norm_ = register_module(std::to_string(o.first + 1),
                            std::make_shared<BatchNorm2d>(BatchNorm2dOptions{o.out}));
  }
  Tensor forward(const Tensor& x) override { return norm_->normalise(*conv_, x, true); }

 private:
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
};

// Atrous spatial pyramid pooling: a 1x1 convolution, three dilated ones and the image's mean, side
// by side, then projected.
class AtrousPyramid final : public Module {
 public:
  AtrousPyramid(int64_t in, int64_t out, int64_t rate) {
    const auto convs = register_module("convs", std::make_shared<ModuleGroup>());
    branches_.push_back(convs->add("0", std::make_shared<NumberedBranch>(BranchOptions{in, out})));
    for (int i = 1; i <= 3; ++i)
      branches_.push_back(convs->add(std::to_string(i), std::make_shared<NumberedBranch>(
                                                            BranchOptions{in, out, 3, i * rate})));
    pooled_ = convs->add("4", std::make_shared<NumberedBranch>(BranchOptions{in, out, 1, 1, 1}));
    project_ =
        register_module("project", std::make_shared<NumberedBranch>(BranchOptions{5 * out, out}));
    dropout_ = register_nameless_module("dropout", std::make_shared<Dropout>(0.5));
  }

  Tensor forward(const Tensor& x) override {
    std::vector<Tensor> parts;
    for (const auto& branch : branches_) parts.push_back((*branch)(x));
    const std::array<int64_t, 2> extents{x.size(2), x.size(3)};
    parts.push_back(functional::interpolate((*pooled_)(functional::global_average_pool(x)), extents,
                                            functional::ResizeMode::linear));
    return (*dropout_)((*project_)(functional::concat(parts, 1)));
  }

 private:
  std::vector<std::shared_ptr<NumberedBranch>> branches_;
  std::shared_ptr<NumberedBranch> pooled_, project_;
  std::shared_ptr<Dropout> dropout_;
};

// `body` in front (DeepLab), 3x3 convolution, batch norm, ReLU, dropout (FCN), 1x1 convolution "4".
class OneMapDecoder final : public Decoder {
 public:
  OneMapDecoder(const DecoderParts& parts, bool pyramid)
      : Decoder("4"), stride_(parts.taps.back().stride) {
    const int64_t in = parts.taps.back().channels, width = parts.widths[0];
    if (pyramid)
      body_ = register_module("0", std::make_shared<AtrousPyramid>(in, width, 96 / stride_));
    neck_ =
        register_nameless_module("neck", std::make_shared<NumberedBranch>(BranchOptions{
                                             pyramid ? width : in, width, 3, 1, pyramid ? 1 : 0}));
    if (!pyramid) dropout_ = register_nameless_module("dropout", std::make_shared<Dropout>(0.1));
    register_module(
        "4", std::make_shared<Conv2d>(Conv2dOptions{width, parts.classes, 1, 1, 0, 1, 1, true}));
  }

  Tensor decode(std::span<const Tensor> maps) override {
    Tensor y = body_ ? (*body_)(maps.back()) : maps.back();
    y = (*neck_)(y);
    if (dropout_) y = (*dropout_)(y);
    return enlarged(run_last(y), stride_);
  }

 private:
  int64_t stride_;
  std::shared_ptr<Module> body_, dropout_;
  std::shared_ptr<NumberedBranch> neck_;
};

std::shared_ptr<Decoder> one_map_decoder(const DecoderParts& parts, bool pyramid) {
  GRAFT_CHECK(parts.widths.size() == 1, "a decoder of one map with ", parts.widths.size(),
              " widths, expected one");
  return std::make_shared<OneMapDecoder>(parts, pyramid);
}

}  // namespace

std::shared_ptr<Decoder> make_fcn(const DecoderParts& parts) {
  return one_map_decoder(parts, false);
}
std::shared_ptr<Decoder> make_deeplabv3(const DecoderParts& parts) {
  return one_map_decoder(parts, true);
}

}  // namespace graft::models
