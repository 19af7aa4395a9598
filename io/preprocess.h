// Preprocess: how an image becomes a network's input. The one description used in training,
// evaluation and predict; it is stored in the model's card.
#pragma once
#include <string>
#include <vector>

#include "graft/io/images/image.h"
#include "graft/io/images/resize.h"

namespace graft::io {

// Resize, centre crop, channel order, scale and normalisation: x = (pixel * scale - mean[c]) /
// deviation[c].
struct GRAFT_API Preprocess {
  int64_t size = 224;  // side of the square input
  int64_t resize_to =
      256;  // short side before the centre crop; 0: resize straight to size x size, no crop
  bool pad = false;  // with resize_to 0: the whole image, its longer side `size`, centred on black
  Interpolation interpolation = Interpolation::bilinear;
  int64_t channels = 3;      // what the network takes: 3, or 1 (colour images become luma)
  bool bgr = false;          // channel order of the network
  double scale = 1.0 / 255;  // pixel 0..255 times this
  std::vector<double> mean{0.485, 0.456, 0.406};  // in the network's channel order, after scaling
  std::vector<double> deviation{0.229, 0.224, 0.225};  // likewise

  // bad_input when a number makes no sense.
  void validate() const;
  // Another side of the network's input; what images are resized to before the crop follows in
  // proportion. bad_input as above.
  void set_size(int64_t new_size);
  // How images that are not square become square: "crop" (the shorter side is resized, the middle
  // kept; a network that was squashed or padded takes all of the shorter side), "squash" or "pad".
  std::string fit() const;
  void set_fit(const std::string& name);  // bad_input for another word
  bool crops() const { return resize_to > 0; }
  // The image resized and cropped (u8 [size,size,channels], still RGB).
  Image geometry(const Image& image) const;
  // Normalised pixels of a size x size image into out, [H,W,C] order, size*size*channels floats.
  void normalise_into(const Image& image, float* out) const;
  // Both steps for one image: f32 [C,size,size].
  Tensor apply(const Image& image) const;

  std::string to_json() const;  // keys sorted
  static Preprocess from_json(const std::string& json);
  bool operator==(const Preprocess&) const = default;
};

// RGB / 255, ImageNet's mean and deviation, short side 256/224 of `size`.
GRAFT_API Preprocess imagenet_preprocess(int64_t size = 224);

}  // namespace graft::io
