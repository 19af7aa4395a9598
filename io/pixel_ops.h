// PixelOps: changes of an image of 8-bit pixels, each with Pillow's arithmetic, bit for bit: those
// that torchvision's RandAugment and TrivialAugmentWide are made of.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "graft/io/images/image.h"

namespace graft::io {

enum class PixelOp : unsigned char {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  color,
  contrast,
  sharpness,
  posterize,
  solarize,
  autocontrast,
  equalize
};

GRAFT_API std::string name_of(PixelOp op);

// Changes an image of 1 or 3 channels in place; the size stays. magnitude, as torchvision's
// _apply_op takes it: shear: the tangent of the angle; translate: pixels, cut to whole ones;
// rotate: degrees, counter-clockwise; brightness to sharpness: the factor less 1, 0 changes
// nothing; posterize: bits that are kept, 0 to 8; solarize: values from it on are inverted.
// Geometry takes the nearest pixel, and black outside of the image. bad_input for another number of
// channels, or a magnitude that is not finite.
GRAFT_API void apply(Image& image, PixelOp op, double magnitude);

}  // namespace graft::io
