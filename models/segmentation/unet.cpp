// The U-Net decoder (Ronneberger et al. 2015): doubled, joined with the encoder's map of that size,
// two convolutions; again and again up to the image's own size.
#include <algorithm>

#include "graft/layers/functional/functional.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

class UpBlock final : public Module {
 public:
  UpBlock(int64_t in, int64_t skip, int64_t out)
      : first_(register_module("0", std::make_shared<ConvNormRelu>(in + skip, out))),
        second_(register_module("1", std::make_shared<ConvNormRelu>(out, out))) {}
  Tensor forward(const Tensor& x) override { return (*second_)((*first_)(x)); }
  // x [N,C,h,w], skip [N,S,2h,2w] or undefined -> [N,out,2h,2w]
  Tensor run(const Tensor& x, const Tensor& skip) {
    const Tensor large = enlarged(x, 2);
    if (!skip.defined()) return (*this)(large);
    const Tensor both[] = {large, skip};
    return (*this)(functional::concat(both, 1));
  }

 private:
  std::shared_ptr<ConvNormRelu> first_, second_;
};

// Children: up16, up8 ... up1 by the stride of what they give, head.
class UNetDecoder final : public Decoder {
 public:
  explicit UNetDecoder(const DecoderParts& parts) : Decoder("head") {
    int64_t channels = parts.taps.back().channels, stride = parts.taps.back().stride;
    for (const int64_t width : parts.widths) {
      stride /= 2;
      const auto skip = std::find_if(parts.taps.begin(), parts.taps.end(),
                                     [&](const EncoderMap& tap) { return tap.stride == stride; });
      const bool joined = skip != parts.taps.end();
      skips_.push_back(joined ? skip - parts.taps.begin() : -1);
      ups_.push_back(
          register_module(str("up", stride),
                          std::make_shared<UpBlock>(channels, joined ? skip->channels : 0, width)));
      channels = width;
    }
    register_module("head", std::make_shared<Conv2d>(
                                Conv2dOptions{channels, parts.classes, 1, 1, 0, 1, 1, true}));
  }

  Tensor decode(std::span<const Tensor> maps) override {
    Tensor y = maps.back();
    for (size_t i = 0; i < ups_.size(); ++i)
      y = ups_[i]->run(y, skips_[i] < 0 ? Tensor() : maps[static_cast<size_t>(skips_[i])]);
    return run_last(y);
  }

 private:
  std::vector<std::shared_ptr<UpBlock>> ups_;
  std::vector<int64_t> skips_;  // by block: which map it joins; -1: none
};

}  // namespace

std::shared_ptr<Decoder> make_unet(const DecoderParts& parts) {
  const int64_t doublings = std::ssize(parts.widths);
  GRAFT_CHECK(doublings < 8 && int64_t{1} << doublings == parts.taps.back().stride,
              "a U-Net decoder from stride ", parts.taps.back().stride, " with ", doublings,
              " widths");
  return std::make_shared<UNetDecoder>(parts);
}

}  // namespace graft::models
