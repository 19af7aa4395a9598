#include "graft/io/images/exif.h"

#include <cstring>

namespace graft::io {
namespace {

// A TIFF block with bounded reads in its own byte order.
struct Tiff {
  std::span<const std::byte> bytes;
  bool big_endian = false;

  bool read(size_t offset, size_t count, uint32_t& value) const {
    if (offset > bytes.size() || count > bytes.size() - offset) return false;
    value = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t byte =
          std::to_integer<uint32_t>(bytes[offset + (big_endian ? i : count - 1 - i)]);
      value = value << 8 | byte;
    }
    return true;
  }
};

}  // namespace

// Source: EXIF 2.32 section 4.5: "Exif\0\0", TIFF header, IFD0 with 12-byte entries; tag 0x0112 is
// the orientation.
int exif_orientation(std::span<const std::byte> app1) {
  if (app1.size() < 14 || std::memcmp(app1.data(), "Exif\0\0", 6) != 0) return 1;
  return tiff_orientation(app1.subspan(6));
}

int tiff_orientation(std::span<const std::byte> block) {
  if (block.size() < 8) return 1;
  Tiff tiff{block};
  if (std::memcmp(tiff.bytes.data(), "MM", 2) == 0)
    tiff.big_endian = true;
  else if (std::memcmp(tiff.bytes.data(), "II", 2) != 0)
    return 1;
  uint32_t directory = 0, count = 0;
  if (!tiff.read(4, 4, directory) || !tiff.read(directory, 2, count)) return 1;
  for (uint32_t i = 0; i < count; ++i) {
    const size_t entry = size_t{directory} + 2 + size_t{12} * i;
    uint32_t tag = 0, value = 0;
    if (!tiff.read(entry, 2, tag)) return 1;
    if (tag != 0x0112) continue;
    return tiff.read(entry + 8, 2, value) && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image upright(const Image& image, int orientation) {
  if (orientation <= 1) return image;
  const bool swaps = orientation >= 5;
  const int64_t h = image.height, w = image.width, c = image.channels;
  Image turned{swaps ? h : w, swaps ? w : h, c,
               Tensor::empty({swaps ? w : h, swaps ? h : w, c}, {.dtype = DType::u8}),
               image.remark};
  const uint8_t* in = image.pixels.data<uint8_t>();
  uint8_t* out = turned.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < turned.height; ++y)
    for (int64_t x = 0; x < turned.width; ++x) {
      int64_t sy = swaps ? x : y, sx = swaps ? y : x;  // 5 is the plain transpose
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        sy = h - 1 - sy;
      std::memcpy(out + (y * turned.width + x) * c, in + (sy * w + sx) * c, static_cast<size_t>(c));
    }
  return turned;
}

}  // namespace graft::io
