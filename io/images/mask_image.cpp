#include "graft/io/images/mask_image.h"

#include <algorithm>
#include <cstring>

#include "graft/core/base/error.h"
#include "graft/io/images/image.h"
#include "graft/io/images/stb.h"
#include "graft/io/images/structure.h"

namespace graft::io {
namespace {

constexpr size_t kPngDepth = 24, kPngColorType = 25;  // in the file, of the header chunk
constexpr uint8_t kGreyType = 0, kPaletteType = 3;

uint8_t byte_at(std::span<const std::byte> bytes, size_t at) {
  return std::to_integer<uint8_t>(bytes[at]);
}

// A PNG's header, where it has one.
bool has_png_header(std::span<const std::byte> bytes) {
  return image_format(bytes) == "PNG" && bytes.size() > 33 &&
         std::memcmp(bytes.data() + 12, "IHDR", 4) == 0;
}

struct Chunk {
  size_t type = 0, length = 0;  // where the type stands; of the data behind it
};

// Whole chunks behind the header.
std::vector<Chunk> chunks_of(std::span<const std::byte> png) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at + 12 <= png.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | byte_at(png, at + i);
    if (length > png.size() - at - 12) break;
    chunks.push_back({at + 4, length});
    at += 12 + length;
  }
  return chunks;
}

bool is_type(std::span<const std::byte> png, const Chunk& chunk, const char* type) {
  return std::memcmp(png.data() + chunk.type, type, 4) == 0;
}

std::vector<uint32_t> palette_of(std::span<const std::byte> png) {
  std::vector<uint32_t> colors;
  for (const Chunk& chunk : chunks_of(png)) {
    if (!is_type(png, chunk, "PLTE")) continue;
    for (size_t i = 0; i + 3 <= chunk.length && colors.size() < 256; i += 3) {
      const size_t at = chunk.type + 4 + i;
      colors.push_back(uint32_t{byte_at(png, at)} << 16 | uint32_t{byte_at(png, at + 1)} << 8 |
                       byte_at(png, at + 2));
    }
  }
  return colors;
}

// A palette's indices, from the file as one of grey levels: another color type, and neither palette
// nor transparency.
MaskImage decode_indices(std::span<const std::byte> png, const std::string& name) {
  check_png_chunks(png, name);
  std::vector<std::byte> changed(png.begin(), png.end());
  changed[kPngColorType] = std::byte{kGreyType};
  for (const Chunk& chunk : chunks_of(png))
    if (is_type(png, chunk, "PLTE") || is_type(png, chunk, "tRNS"))
      std::memcpy(changed.data() + chunk.type, "abCd", 4);  // a kind that nobody needs
  const Image image = decode_with_stb(changed, name);
  MaskImage mask{image.width, image.height, MaskForm::palette, {}, palette_of(png)};
  // Grey levels of fewer than 8 bits come stretched to 0 .. 255.
  const int depth = byte_at(png, kPngDepth), step = 255 / ((1 << depth) - 1);
  const std::span pixels(image.pixels.data<uint8_t>(), static_cast<size_t>(image.pixels.numel()));
  mask.values.reserve(pixels.size());
  for (const uint8_t pixel : pixels) mask.values.push_back(static_cast<uint32_t>(pixel / step));
  return mask;
}

bool shows_grey_only(const uint8_t* rgb, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i)
    if (rgb[3 * i] != rgb[3 * i + 1] || rgb[3 * i] != rgb[3 * i + 2]) return false;
  return true;
}

}  // namespace

MaskImage decode_mask(std::span<const std::byte> bytes, const std::string& name) {
  GRAFT_CHECK(image_format(bytes) != "JPEG", name,
              ": a mask in a JPEG, whose values are not exact; save masks as PNG");
  if (has_png_header(bytes)) {
    GRAFT_CHECK(byte_at(bytes, kPngDepth) <= 8, name,
                ": a mask of 16-bit values; save masks with 8 bits");
    if (byte_at(bytes, kPngColorType) == kPaletteType) return decode_indices(bytes, name);
  }
  const Image image = decode_image(bytes, name);
  const int64_t pixels = image.width * image.height;
  const uint8_t* p = image.pixels.data<uint8_t>();
  MaskImage mask{image.width, image.height, MaskForm::grey, {}, {}};
  mask.values.reserve(static_cast<size_t>(pixels));
  if (image.channels == 1 || shows_grey_only(p, pixels)) {
    for (int64_t i = 0; i < pixels; ++i) mask.values.push_back(p[i * image.channels]);
    return mask;
  }
  mask.form = MaskForm::color;
  for (int64_t i = 0; i < pixels; ++i, p += 3)
    mask.values.push_back(uint32_t{p[0]} << 16 | uint32_t{p[1]} << 8 | p[2]);
  return mask;
}

uint32_t MaskImage::color_of(uint32_t value) const {
  if (form == MaskForm::color) return value;
  if (form == MaskForm::palette) return value < palette.size() ? palette[value] : 0;
  return value << 16 | value << 8 | value;
}

}  // namespace graft::io
