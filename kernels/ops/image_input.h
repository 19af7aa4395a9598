// A batch of decoded images to a network's input: cropped, mirrored, their colours changed,
// normalised and rounded to the input's type. x = (pixel * scale - mean[c]) / deviation[c], as
// io/preprocess.h has it.
#pragma once
#include <array>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct ImageInputAttributes {
  double scale = 1.0 / 255;
  std::array<double, 4> mean{}, deviation{1, 1, 1, 1};  // in the result's channel order
  bool bgr = false;                                     // the result's channels run backwards
};

// Where a sample's crop lies: i32 [N, kImagePlace]. Outside of the image: black.
enum ImagePlace : int {
  top,
  left,
  mirrored,
  kImagePlace
};  // mirrored, if not 0: right to left within the crop

// How a sample's colours change: f64 [N, kImageColour], the factors that io/augment.h's jitter
// draws; 1: not at all. In this order, each rounded to a grey level: brightness blends with black,
// contrast with the crop's mean grey, saturation with the pixel's own grey (images of three
// channels). Grey is 0.299 r + 0.587 g + 0.114 b, or the only channel.
enum ImageColour : int { brightness, contrast, saturation, kImageColour };

struct ImageInputArgs {
  const Tensor& pixels;  // u8 [N,H,W,C], contiguous
  const Tensor* places;  // or null: from the upper left corner, as they are
  const ImageInputAttributes& attributes;
  Tensor& y;  // f32, bf16 or f16 [N,D,P,Q], channels_last; channels from C on are 0 (a stem padded
              // to 4)
  const Tensor* colours = nullptr;  // or null: as they are; only for one or three channels
  bool dtypes_fit() const {
    return are_of(DType::u8, pixels) && are_of(DType::i32, places) && are_of(DType::f64, colours) &&
           is_floating(y.dtype());
  }
};

// bad_input when they do not fit each other.
GRAFT_API void check_image_input(const ImageInputArgs& args);

struct ImageInputKernels {
  KernelList<ImageInputArgs> forward{"image_input"};
};

}  // namespace graft::ops
