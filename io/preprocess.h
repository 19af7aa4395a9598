// Preprocess: how a sample becomes a network's input. The one description used in training,
// evaluation and predict; it is stored in the model's card.
#pragma once
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "graft/io/images/image.h"
#include "graft/io/images/resize.h"

namespace graft::io {

// Resize, centre crop, channel order, scale and normalisation: x = (pixel * scale - mean[c]) /
// deviation[c].
struct GRAFT_API Preprocess {
  int64_t size = 224;       // height of the input, and its width unless that is another
  int64_t width = 0;        // of the input; 0: as its height, a square
  int64_t resize_to = 256;  // short side before the centre crop, beside the short side of the
                            // input; 0: resize straight to the input's sides, no crop
  bool pad = false;         // with resize_to 0: the whole image, as large as fits, centred on black
  bool own_scale = false;  // with resize_to 0: not resized, the middle window of the input's sides,
                           // black beyond the image; training takes windows at random
  Interpolation interpolation = Interpolation::bilinear;
  int64_t channels = 3;      // what the network takes: 3, or 1 (colour images become luma)
  bool bgr = false;          // channel order of the network
  double scale = 1.0 / 255;  // pixel 0..255 times this
  std::vector<double> mean{0.485, 0.456, 0.406};  // in the network's channel order, after scaling
  std::vector<double> deviation{0.229, 0.224, 0.225};  // likewise
  // How grey files of more than 8 bits become pixels of 0..255 (image.h); none: as each format
  // says.
  GreyWindow window{};
  // What samples are (train/inputs): "" for images, whose steps are those above; else that input's
  // name, and its own steps as JSON that only the input reads. They give size x width numbers, each
  // repeated in every channel, minus `mean` over `deviation`.
  std::string input{}, settings{};

  // bad_input when a number makes no sense.
  void validate() const;
  int64_t input_width() const { return width > 0 ? width : size; }
  int64_t short_side() const { return std::min(size, input_width()); }
  int64_t pixels() const { return size * input_width(); }  // of an input
  std::string sides() const;                               // "224x224", height first
  // f32 [images,channels,height,width], channels last.
  Tensor zeros(int64_t images) const;
  // Other sides of the network's input; what images are resized to before the crop follows in
  // proportion of the shorter one. bad_input as above.
  void set_size(int64_t new_height, int64_t new_width = 0);
  // How images of other proportions than the input's come into it: "crop" (resized to cover the
  // input, the middle kept; a network that was squashed or padded keeps as much as fits), "squash",
  // "pad" or "window" (own_scale).
  std::string fit() const;
  void set_fit(const std::string& name);  // bad_input for another word
  bool crops() const { return resize_to > 0; }
  // The image resized and cropped (u8 [height,width,channels], still RGB).
  Image geometry(const Image& image) const;
  // Normalised pixels of an image of the input's sides into out, [H,W,C] order.
  void normalise_into(const Image& image, float* out) const;
  // Both steps for one image: f32 [C,height,width].
  Tensor apply(const Image& image) const;

  std::string to_json() const;  // keys sorted
  static Preprocess from_json(const std::string& json);
  bool operator==(const Preprocess&) const = default;
};

// RGB / 255, ImageNet's mean and deviation, short side 256/224 of `size`.
GRAFT_API Preprocess imagenet_preprocess(int64_t size = 224);
// "224", or "64x192": height and width. bad_input for another text.
GRAFT_API std::array<int64_t, 2> image_sides(const std::string& text);

}  // namespace graft::io
