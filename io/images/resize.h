// Resizing as Pillow does it: antialiased (the filter widens when shrinking), separable, 8-bit
// fixed point, so that results equal Pillow's within one grey level.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

enum class Interpolation : unsigned char { bilinear, bicubic };

// The part of the source that becomes the result, in source pixels (Pillow's `box`).
struct ResizeBox {
  double left = 0, top = 0, right = 0, bottom = 0;
};

// The box scaled to width x height. bad_input for empty sizes or a box outside of the image.
GRAFT_API Image resize(const Image& image, int64_t width, int64_t height, const ResizeBox& box,
                       Interpolation interpolation);
GRAFT_API Image resize(const Image& image, int64_t width, int64_t height,
                       Interpolation interpolation = Interpolation::bilinear);
// Only the window [x0, x0+width) x [y0, y0+height) of the image resized to full_width x
// full_height: what resize and crop would give, without computing the rest. Outside of the resized
// image: black.
struct ResizedWindow {
  int64_t full_width, full_height;
  int64_t x0, y0, width, height;
};
GRAFT_API Image resize_window(const Image& image, const ResizedWindow& window,
                              Interpolation interpolation);

// The image in the middle of the smallest black one of the proportions width : height.
GRAFT_API Image padded_to(const Image& image, int64_t width, int64_t height);

}  // namespace graft::io
