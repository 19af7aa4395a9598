#include "graft/api/pixels.h"

#include <algorithm>

#include "graft/core/base/error.h"

namespace graft {
namespace {

void rgb_row(const uint8_t* from, int64_t width, const Pixels& pixels, uint8_t* to) {
  const int64_t step = bytes_per_pixel(pixels.order);
  const bool is_bgr = pixels.order == PixelOrder::bgr || pixels.order == PixelOrder::bgra;
  const int red = is_bgr ? 2 : 0, blue = is_bgr ? 0 : 2;
  for (int64_t x = 0; x < width; ++x, from += step, to += 3) {
    to[0] = from[red];
    to[1] = from[1];
    to[2] = from[blue];
  }
}

}  // namespace

int64_t bytes_per_pixel(PixelOrder order) {
  switch (order) {
    case PixelOrder::grey: return 1;
    case PixelOrder::rgb:
    case PixelOrder::bgr: return 3;
    case PixelOrder::rgba:
    case PixelOrder::bgra: return 4;
  }
  bad_input("pixels: an unknown order of channels, ", static_cast<int>(order));
}

io::Image image_of(const Pixels& pixels, const std::string& name) {
  const int64_t width = pixels.width, height = pixels.height;
  GRAFT_CHECK(pixels.data, name, ": there are no pixels, their address is null");
  GRAFT_CHECK(width >= 1 && height >= 1, name, ": ", width, "x", height,
              " pixels; both sides are at least 1");
  GRAFT_CHECK(width <= io::image_pixel_limit() / height, name, ": ", width, "x", height,
              " is more than ", io::image_pixel_limit(), " pixels");
  const int64_t of_row = width * bytes_per_pixel(pixels.order);
  const int64_t stride = pixels.row_bytes == 0 ? of_row : pixels.row_bytes;
  GRAFT_CHECK(stride >= of_row || stride <= -of_row, name, ": ", stride,
              " bytes from row to row, but a row of ", width, " pixels has ", of_row);
  const int64_t channels = pixels.order == PixelOrder::grey ? 1 : 3;
  io::Image image{width, height, channels,
                  Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  uint8_t* to = image.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < height; ++y, to += width * channels) {
    const uint8_t* from = pixels.data + y * stride;
    if (pixels.order == PixelOrder::grey || pixels.order == PixelOrder::rgb)
      std::copy_n(from, of_row, to);
    else
      rgb_row(from, width, pixels, to);
  }
  return image;
}

}  // namespace graft
