// InputGeometry: which place of an image each pixel of a network's input shows.
#pragma once
#include <vector>

#include "graft/io/augment.h"
#include "graft/io/datasets/boxes.h"
#include "graft/io/preprocess.h"

namespace graft::io {

// Along one axis: pixel i of the input has its middle at begin + (i + 0.5) * step of the image's
// `extent` pixels.
struct GRAFT_API AxisGeometry {
  int64_t extent = 0;
  double begin = 0, step = 1;

  // The image's pixel under the middle of one of the input's; -1: outside of the image.
  int64_t under(int64_t input_pixel) const;
  // The place in the input, in its pixels, of the middle of a pixel of the image.
  double place_of(int64_t pixel) const { return (static_cast<double>(pixel) + 0.5 - begin) / step; }
};

struct GRAFT_API InputGeometry {
  AxisGeometry x{}, y{};
  bool mirrored = false;  // the input, left to right

  // A map u8 [H,W,1] of the image, as the input shows it: the nearest pixel's value, kIgnoredPixel
  // outside of the image. Row by row into `out`.
  void place_map(const Image& map, int64_t width, int64_t height, uint8_t* out) const;
  // A box of the image as the input, `width` pixels wide, shows it; it may reach beyond the input.
  Box placed(const Box& box, double width) const;
  // The box of the image that the input shows there, within the image.
  Box of_image(const Box& box, double width) const;
};

// Of an upright image of this size. With `random` as InputMaker changes it with the same numbers
// (it draws them in the same order, the geometry's first), else as it only preprocesses it.
GRAFT_API InputGeometry input_geometry(const Preprocess& preprocess, const Augment& augment,
                                       int64_t width, int64_t height, CountedRandom* random);

}  // namespace graft::io
