// The FPN decoder: a feature pyramid (Lin et al. 2017), each level brought to the finest one's size
// and summed (Kirillov et al. 2019, figure 3; batch norms in place of group norms).
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/sequential.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

// Children by stride: lateral4 ..., level4 ...; head.
class FpnDecoder final : public Decoder {
 public:
  explicit FpnDecoder(const DecoderParts& parts) : Decoder("head"), taps_(parts.taps) {
    const int64_t pyramid = parts.widths[0], branch = parts.widths[1];
    for (const EncoderMap& tap : taps_)
      laterals_.push_back(register_module(
          str("lateral", tap.stride),
          std::make_shared<Conv2d>(Conv2dOptions{tap.channels, pyramid, 1, 1, 0, 1, 1, true})));
    for (const EncoderMap& tap : taps_) levels_.push_back(add_level(tap.stride, pyramid, branch));
    register_module("head", std::make_shared<Conv2d>(
                                Conv2dOptions{branch, parts.classes, 1, 1, 0, 1, 1, true}));
  }

  Tensor decode(std::span<const Tensor> maps) override {
    Tensor above, sum;
    for (size_t i = taps_.size(); i-- > 0;) {
      Tensor y = (*laterals_[i])(maps[i]);
      if (above.defined())
        y = functional::add(y, enlarged(above, taps_[i + 1].stride / taps_[i].stride));
      above = y;
      const Tensor level = (*levels_[i])(y);
      sum = sum.defined() ? functional::add(sum, level) : level;
    }
    return enlarged(run_last(sum), taps_.front().stride);
  }

 private:
  // A convolution before each doubling up to the finest level; at that level one.
  std::shared_ptr<Sequential> add_level(int64_t stride, int64_t in, int64_t out) {
    const auto level = register_module(str("level", stride), std::make_shared<Sequential>());
    level->append(std::make_shared<ConvNormRelu>(in, out));
    for (int64_t s = stride; s > taps_.front().stride; s /= 2) {
      if (s < stride) level->append(std::make_shared<ConvNormRelu>(out, out));
      level->append(std::make_shared<Function>([](const Tensor& x) { return enlarged(x, 2); }));
    }
    return level;
  }

  std::vector<EncoderMap> taps_;
  std::vector<std::shared_ptr<Conv2d>> laterals_;
  std::vector<std::shared_ptr<Sequential>> levels_;
};

}  // namespace

std::shared_ptr<Decoder> make_fpn(const DecoderParts& parts) {
  GRAFT_CHECK(parts.widths.size() == 2, "an FPN decoder with ", parts.widths.size(),
              " widths, expected those of the pyramid and of its branch");
  return std::make_shared<FpnDecoder>(parts);
}

}  // namespace graft::models
