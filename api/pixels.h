// Pixels: decoded pixels in a program's own memory (a camera's frame, another library's bitmap), as
// an Image.
#pragma once
#include "graft/io/images/image.h"

namespace graft {

// How the bytes of one pixel stand; alpha is dropped.
enum class PixelOrder : unsigned char { grey, rgb, bgr, rgba, bgra };
GRAFT_API int64_t bytes_per_pixel(PixelOrder order);

// 8 bits a channel, upright. The memory is the caller's.
struct Pixels {
  const uint8_t* data = nullptr;  // the top row's first pixel
  int64_t width = 0, height = 0;
  PixelOrder order = PixelOrder::rgb;
  // From one row's first byte to the next one's: at least a row's bytes, negative where rows stand
  // bottom up; 0: without a gap.
  int64_t row_bytes = 0;
};

// A copy of the pixels, grey or RGB. bad_input naming `name` for no pixels, sides below 1, rows
// shorter than their pixels, and more pixels than io::image_pixel_limit().
GRAFT_API io::Image image_of(const Pixels& pixels, const std::string& name = "pixels");

}  // namespace graft
