// The FCOS decoder: at each place of a map at stride 8 the classes' logits, the edges of a box and
// how well it fits (Tian et al. 2019, one level; fit in place of centerness as in their later
// work).
#include <algorithm>

#include "graft/layers/functional/functional.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

constexpr int64_t kBoxMaps = 5;  // beside the classes': left, top, right, bottom, fit
constexpr int64_t kStride = 8;   // of what is given

// Children by stride: norm8, lateral8 ...; shared, of_class, of_box; cls, box, fit.
class FcosDecoder final : public Decoder {
 public:
  explicit FcosDecoder(const DecoderParts& parts) : Decoder("cls"), taps_(parts.taps) {
    const int64_t width = parts.widths[0], classes = parts.classes - kBoxMaps;
    for (const EncoderMap& tap : taps_) {
      norms_.push_back(
          register_module(str("norm", tap.stride),
                          std::make_shared<BatchNorm2d>(BatchNorm2dOptions{tap.channels})));
      // A finer map, of an encoder that has no other, is taken in patches.
      const int64_t side = std::max<int64_t>(1, kStride / tap.stride);
      laterals_.push_back(register_module(
          str("lateral", tap.stride),
          std::make_shared<Conv2d>(Conv2dOptions{tap.channels, width, side, side, 0, 1, 1, true})));
    }
    shared_ = register_module("shared", std::make_shared<ConvNormRelu>(width, width));
    of_class_ = register_module("of_class", std::make_shared<ConvNormRelu>(width, width));
    of_box_ = register_module("of_box", std::make_shared<ConvNormRelu>(width, width));
    const auto add_last = [&](const char* name, int64_t maps) {
      return register_module(
          name, std::make_shared<Conv2d>(Conv2dOptions{width, maps, 3, 1, 1, 1, 1, true}));
    };
    cls_ = add_last("cls", classes);
    box_ = add_last("box", kBoxMaps - 1);
    fit_ = add_last("fit", 1);
  }

  Tensor decode(std::span<const Tensor> maps) override {
    Tensor sum;
    for (size_t i = taps_.size(); i-- > 0;) {
      Tensor y = laterals_[i]->forward(norms_[i]->forward(maps[i]));
      if (sum.defined())
        y = functional::add(y, enlarged(sum, taps_[i + 1].stride / taps_[i].stride));
      sum = y;
    }
    const Tensor shared = shared_->forward(functional::relu(sum));
    const Tensor of_class = of_class_->forward(shared), of_box = of_box_->forward(shared);
    const std::vector<Tensor> parts{cls_->forward(of_class), box_->forward(of_box),
                                    fit_->forward(of_box)};
    return functional::concat(parts, 1);
  }

  // All three last convolutions as PyTorch starts them; the head's bias is of the classes' maps and
  // of the edges and the fit, in the order of what decode() gives.
  void start(std::span<const float> bias, uint64_t seed) override {
    int64_t first = 0;
    for (Conv2d* last : {cls_.get(), box_.get(), fit_.get()}) {
      const int64_t maps = last->weight().size(0);
      start_last(
          *last,
          bias.empty() ? bias : bias.subspan(static_cast<size_t>(first), static_cast<size_t>(maps)),
          seed + static_cast<uint64_t>(first));
      first += maps;
    }
  }

 private:
  std::vector<EncoderMap> taps_;
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;
  std::vector<std::shared_ptr<Conv2d>> laterals_;
  std::shared_ptr<ConvNormRelu> shared_, of_class_, of_box_;
  std::shared_ptr<Conv2d> cls_, box_, fit_;
};

}  // namespace

std::shared_ptr<Decoder> make_fcos(const DecoderParts& parts) {
  GRAFT_CHECK(parts.widths.size() == 1 && parts.classes > kBoxMaps, "an FCOS decoder with ",
              parts.widths.size(), " widths and ", parts.classes, " maps, expected one width and ",
              kBoxMaps, " maps beside the classes'");
  return std::make_shared<FcosDecoder>(parts);
}

}  // namespace graft::models
