#include "graft/io/images/webp.h"

#include <algorithm>
#include <cstring>

#include "graft/io/images/exif.h"

#ifdef GRAFT_HAS_WEBP
#include <webp/decode.h>
#endif

namespace graft::io {

#ifdef GRAFT_HAS_WEBP
const bool kHasWebp = true;

namespace {

int64_t little_word(std::span<const std::byte> bytes, size_t at, size_t count) {
  int64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= std::to_integer<int64_t>(bytes[at + i]) << (8 * i);
  return value;
}

// What graft wants of the container (https://developers.google.com/speed/webp/docs/riff_container):
// chunks of type, length and body, padded to even lengths.
struct Container {
  int orientation = 1;
  bool is_animated = false;
  std::span<const std::byte> frame;                  // an animation's first: its picture's chunk
  int64_t left = 0, top = 0, width = 0, height = 0;  // of that frame; then of the canvas
  int64_t canvas_width = 0, canvas_height = 0;
};

template <class Visit>
void for_chunks(std::span<const std::byte> bytes, size_t at, Visit&& visit) {
  while (bytes.size() >= 8 && at <= bytes.size() - 8) {
    const auto length = static_cast<size_t>(little_word(bytes, at + 4, 4));
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at, 4);
    const size_t there = std::min(length, bytes.size() - at - 8);
    visit(type, bytes.subspan(at + 8, there), bytes.subspan(at, there + 8));
    if (there < length) return;
    at += 8 + length + (length & 1);
  }
}

Container read_container(std::span<const std::byte> bytes) {
  Container found;
  for_chunks(bytes, 12, [&](std::string_view type, std::span<const std::byte> body, auto) {
    if (type == "EXIF") {
      const int orientation = std::max(exif_orientation(body), tiff_orientation(body));
      if (orientation > 1) found.orientation = orientation;
    }
    if (type == "VP8X" && body.size() >= 10) {
      found.is_animated = (std::to_integer<int>(body[0]) & 2) != 0;
      found.canvas_width = little_word(body, 4, 3) + 1;
      found.canvas_height = little_word(body, 7, 3) + 1;
    }
    if (type != "ANMF" || body.size() < 16 || !found.frame.empty()) return;
    found.left = 2 * little_word(body, 0, 3), found.top = 2 * little_word(body, 3, 3);
    found.width = little_word(body, 6, 3) + 1, found.height = little_word(body, 9, 3) + 1;
    for_chunks(body, 16, [&](std::string_view inner, auto, std::span<const std::byte> whole) {
      if (inner == "VP8 " || inner == "VP8L") found.frame = whole;
    });
  });
  return found;
}

Image decode_picture(std::span<const std::byte> bytes, const std::string& name) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    fail(ErrorCode::internal, "libwebp: another version than graft was built with");
  if (WebPGetFeatures(data, bytes.size(), &config.input) != VP8_STATUS_OK)
    bad_input(name, ": broken WebP: its header cannot be read");
  const int64_t width = config.input.width, height = config.input.height;
  GRAFT_CHECK(width >= 1 && height >= 1, name, ": broken WebP: it has no pixels");
  GRAFT_CHECK(width * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  Image image{width, height, 3, Tensor::empty({height, width, 3}, {.dtype = DType::u8})};
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.mutable_data<uint8_t>();
  config.output.u.RGBA.stride = static_cast<int>(3 * width);
  config.output.u.RGBA.size = static_cast<size_t>(image.pixels.numel());
  const VP8StatusCode status = WebPDecode(data, bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status == VP8_STATUS_OUT_OF_MEMORY)
    fail(ErrorCode::resource, name, ": out of memory while decoding WebP");
  GRAFT_CHECK(
      status == VP8_STATUS_OK, name, ": broken WebP: ",
      status == VP8_STATUS_NOT_ENOUGH_DATA ? "it is truncated" : "its pixels cannot be decoded");
  return image;
}

// An animation's first frame, on black where it does not reach.
Image decode_frame(const Container& found, const std::string& name) {
  GRAFT_CHECK(!found.frame.empty(), name, ": broken WebP: an animation without a frame");
  const int64_t width = found.canvas_width, height = found.canvas_height;
  GRAFT_CHECK(width * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  Image frame = decode_picture(found.frame, name);
  GRAFT_CHECK(found.left + frame.width <= width && found.top + frame.height <= height, name,
              ": broken WebP: its first frame lies outside of the picture");
  Image image{width, height, 3, Tensor::zeros({height, width, 3}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  const uint8_t* in = frame.pixels.data<uint8_t>();
  for (int64_t y = 0; y < frame.height; ++y)
    std::memcpy(out + ((found.top + y) * width + found.left) * 3, in + y * frame.width * 3,
                static_cast<size_t>(frame.width) * 3);
  image.remark = "the first of several frames is read";
  return image;
}

}  // namespace

Image decode_webp(std::span<const std::byte> bytes, const std::string& name) {
  const Container found = read_container(bytes);
  return upright(found.is_animated ? decode_frame(found, name) : decode_picture(bytes, name),
                 found.orientation);
}
#else
const bool kHasWebp = false;

Image decode_webp(std::span<const std::byte>, const std::string& name) {
  bad_input(name, ": this graft was built without WebP");
}
#endif

}  // namespace graft::io
