// The sequence decoder: an encoder's maps, averaged over their height, as steps along the width,
// for CTC. The coarser maps are brought to the finest one's steps and added, as in a feature
// pyramid (Lin et al. 2017) of one axis.
#include <array>

#include "graft/layers/functional/functional.h"
#include "graft/layers/functional/movement.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

// [N,C,1,T] at `times` as many steps, linear between them.
Tensor with_more_steps(const Tensor& x, int64_t times) {
  if (times == 1) return x;
  const std::array<int64_t, 2> extents{1, x.size(3) * times};
  return functional::interpolate(x, extents, functional::ResizeMode::linear);
}

// Children by stride: norm4, lateral4 ...; before, behind, last.
class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(const DecoderParts& parts) : Decoder("last"), taps_(parts.taps) {
    const int64_t width = parts.widths[0];
    for (const EncoderMap& tap : taps_) {
      norms_.push_back(
          register_module(str("norm", tap.stride),
                          std::make_shared<BatchNorm2d>(BatchNorm2dOptions{tap.channels})));
      laterals_.push_back(register_module(
          str("lateral", tap.stride),
          std::make_shared<Conv2d>(Conv2dOptions{tap.channels, width, 1, 1, 0, 1, 1, true})));
    }
    before_ = register_module("before", std::make_shared<ConvNormRelu>(width, width));
    behind_ = register_module("behind", std::make_shared<ConvNormRelu>(width, width));
    last_ = register_module(
        "last", std::make_shared<Conv2d>(Conv2dOptions{width, parts.classes, 1, 1, 0, 1, 1, true}));
  }

  Tensor decode(std::span<const Tensor> maps) override {
    Tensor sum;
    for (size_t i = taps_.size(); i-- > 0;) {
      const Tensor steps = functional::mean(maps[i], {2}, true);  // [N,C,1,T]
      Tensor y = (*laterals_[i])((*norms_[i])(steps));
      if (sum.defined())
        y = functional::add(y, with_more_steps(sum, taps_[i + 1].stride / taps_[i].stride));
      sum = y;
    }
    const Tensor seen = (*behind_)((*before_)(functional::relu(sum)));
    const Tensor logits = run_last(seen);  // [N,classes,1,T]
    const Tensor rows = functional::reshape(functional::to_format(logits, MemoryFormat::contiguous),
                                            {logits.size(0), logits.size(1), logits.size(3)});
    return functional::transpose(rows, {0, 2, 1});
  }

 private:
  std::vector<EncoderMap> taps_;
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;
  std::vector<std::shared_ptr<Conv2d>> laterals_;
  std::shared_ptr<ConvNormRelu> before_, behind_;
  std::shared_ptr<Conv2d> last_;
};

}  // namespace

std::shared_ptr<Decoder> make_sequence(const DecoderParts& parts) {
  GRAFT_CHECK(parts.widths.size() == 1 && parts.classes >= 2, "a sequence decoder with ",
              parts.widths.size(), " widths and ", parts.classes,
              " classes, expected one width and two classes or more");
  return std::make_shared<SequenceDecoder>(parts);
}

}  // namespace graft::models
