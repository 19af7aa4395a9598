#include "graft/io/images/resize.h"

#include <algorithm>
#include <cstring>

#include "graft/io/images/resampler.h"

namespace graft::io {
namespace {

bool is_possible(int64_t width, int64_t height) {
  return width >= 1 && height >= 1 && width <= image_pixel_limit() &&
         height <= image_pixel_limit() / width;
}

}  // namespace

Image resize(const Image& image, int64_t width, int64_t height, const ResizeBox& box,
             Interpolation interpolation) {
  check_image(image);
  GRAFT_CHECK(is_possible(width, height), "cannot resize an image to ", width, "x", height);
  GRAFT_CHECK(box.left >= 0 && box.top >= 0 && box.right <= static_cast<double>(image.width) &&
                  box.bottom <= static_cast<double>(image.height) && box.left < box.right &&
                  box.top < box.bottom,
              "resize: the box lies outside of the image of ", image.width, "x", image.height);
  Image result{width, height, image.channels,
               Tensor::empty({height, width, image.channels}, {.dtype = DType::u8})};
  Resampler resampler;
  resampler.start({image.width, box.left, box.right, width, 0, width},
                  {image.height, box.top, box.bottom, height, 0, height}, image.channels,
                  interpolation, result.pixels.mutable_data<uint8_t>(), width * image.channels);
  resampler.rows_of(image);
  return result;
}

Image resize(const Image& image, int64_t width, int64_t height, Interpolation interpolation) {
  if (width == image.width && height == image.height) return image;
  return resize(image, width, height,
                {0, 0, static_cast<double>(image.width), static_cast<double>(image.height)},
                interpolation);
}

Image resize_window(const Image& image, const ResizedWindow& w, Interpolation interpolation) {
  check_image(image);
  // The full size is never made: a line of pixels may be 768,000 wide before its crop.
  GRAFT_CHECK(w.full_width >= 1 && w.full_height >= 1 && is_possible(w.width, w.height),
              "cannot resize an image to ", w.full_width, "x", w.full_height);
  const PlacedWindow placed(w, image.width, image.height);
  const Shape shape{w.height, w.width, image.channels};
  Image result{w.width, w.height, image.channels,
               placed.framed ? Tensor::zeros(shape, {.dtype = DType::u8})
                             : Tensor::empty(shape, {.dtype = DType::u8})};
  if (placed.empty) return result;
  const int64_t stride = w.width * image.channels;
  Resampler resampler;
  resampler.start(
      placed.x, placed.y, image.channels, interpolation,
      result.pixels.mutable_data<uint8_t>() + placed.top * stride + placed.left * image.channels,
      stride);
  resampler.rows_of(image);
  return result;
}

Image padded_to(const Image& image, int64_t width, int64_t height) {
  const int64_t c = image.channels;
  const bool by_width = image.width * height > width * image.height;
  const int64_t columns = by_width ? image.width : image.height * width / height,
                rows = by_width ? image.width * height / width : image.height;
  if (image.width == columns && image.height == rows) return image;
  GRAFT_CHECK(is_possible(columns, rows), "an image of ", image.width, "x", image.height,
              " pixels cannot be padded to ", columns, "x", rows, ": more than ",
              image_pixel_limit(), " pixels");
  Image padded{columns, rows, c, Tensor::zeros({rows, columns, c}, {.dtype = DType::u8})};
  const int64_t left = (columns - image.width) / 2, top = (rows - image.height) / 2;
  const uint8_t* in = image.pixels.data<uint8_t>();
  uint8_t* out = padded.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < image.height; ++y)
    std::memcpy(out + ((top + y) * columns + left) * c, in + y * image.width * c,
                static_cast<size_t>(image.width * c));
  return padded;
}

}  // namespace graft::io
