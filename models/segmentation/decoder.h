// Decoder: from an encoder's maps to one map a class at the image's own size, or at a stride of its
// own. A table in decoder.cpp lists them.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/models/segmentation/encoder_maps.h"
#include "graft/models/segmentation/segmentation_config.h"

namespace graft::models {

class Decoder : public Module {
 public:
  // The maps it was made for, by rising stride; channels_last or not -> [N,classes,H,W], or of a
  // sequence [N,T,classes].
  virtual Tensor decode(std::span<const Tensor> maps) = 0;
  // A decoder of one map.
  Tensor forward(const Tensor& x) override { return decode({&x, 1}); }

  // Of the convolution that gives the classes' maps, within the decoder.
  const std::string& last_path() const { return last_path_; }
  // What gives the answers starts anew, with these biases (empty: 0): the last convolution, at
  // first.
  virtual void start(std::span<const float> bias, uint64_t seed);
  Conv2d& last() {
    auto* conv = dynamic_cast<Conv2d*>(find(last_path_));
    GRAFT_CHECK(conv, "decoder: another module was put in place of '", last_path_, "'");
    return *conv;
  }

 protected:
  explicit Decoder(std::string last_path) : last_path_(std::move(last_path)) {
    mark_run_by_parts();
  }
  Tensor run_last(const Tensor& x) { return (*find(last_path_))(x); }

 private:
  std::string last_path_;
};

// What a decoder is made from: the taps that it uses, as the encoder has them.
struct DecoderParts {
  std::vector<EncoderMap> taps{};
  std::vector<int64_t> widths{};
  int64_t classes = 1;
};

// As a linear layer on each pixel: uniform, with zero or the given biases.
void start_last(Conv2d& last, std::span<const float> bias, uint64_t seed);

struct DecoderKind {
  const char* name;
  bool is_of_pixels;      // one map a class at the image's size: decoder_names() has it
  int64_t output_stride;  // of the encoder, where nobody says another; 0: as the encoder is
  // Which of an encoder's taps it uses.
  std::vector<EncoderMap> (*uses)(const std::vector<EncoderMap>& taps);
  std::vector<int64_t> (*widths)(const std::vector<EncoderMap>& taps);  // where nobody says others
  std::shared_ptr<Decoder> (*make)(const DecoderParts& parts);
};

// bad_input listing the names for another.
const DecoderKind& decoder_kind(const std::string& name);

// Ronneberger et al. 2015: widths behind each doubling, from the deepest map to the image.
std::shared_ptr<Decoder> make_unet(const DecoderParts& parts);
// Lin et al. 2017 with the semantic branch of Kirillov et al. 2019: widths of pyramid and branch.
std::shared_ptr<Decoder> make_fpn(const DecoderParts& parts);
// Long et al. 2015 and Chen et al. 2017 as torchvision has them, under its names: one width.
std::shared_ptr<Decoder> make_fcn(const DecoderParts& parts);
std::shared_ptr<Decoder> make_deeplabv3(const DecoderParts& parts);
// Tian et al. 2019 at stride 8, of the taps from there on (else of the last): one width. Of C+5
// maps C are classes', then left, top, right and bottom of a box around the place, and how well it
// fits.
std::shared_ptr<Decoder> make_fcos(const DecoderParts& parts);

// Maps from stride 4 on, averaged over their height and summed at the finest one's steps: logits
// [N,T,classes] along the image's width. One width.
std::shared_ptr<Decoder> make_sequence(const DecoderParts& parts);

// 3x3 convolution "conv" without bias, batch norm "bn", ReLU.
class ConvNormRelu final : public Module {
 public:
  ConvNormRelu(int64_t in, int64_t out);
  Tensor forward(const Tensor& x) override;

 private:
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
};

// Bilinear, half-pixel coordinates (PyTorch's interpolate without align_corners).
Tensor enlarged(const Tensor& x, int64_t times);

}  // namespace graft::models
