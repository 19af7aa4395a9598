#include "graft/io/images/structure.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "graft/core/base/error.h"
#include "graft/io/checksums.h"
#include "graft/io/images/exif.h"

namespace graft::io {
namespace {

int64_t big_endian(std::span<const std::byte> bytes, size_t at) {
  int64_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<int64_t>(bytes[at + i]);
  return value;
}

// A signed number of 4 bytes or an unsigned one of 2.
int64_t little_endian(std::span<const std::byte> bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * i);
  return count == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
}

}  // namespace

// Source: PNG (ISO/IEC 15948) section 5.3: length, type, data, CRC of type and data. A type's first
// letter is a capital where the chunk is needed.
PngFacts check_png_chunks(std::span<const std::byte> png, const std::string& name) {
  PngFacts facts;
  for (size_t at = 8;;) {
    GRAFT_CHECK(png.size() >= 12 && at <= png.size() - 12, name, ": broken PNG: it is truncated");
    const auto length = static_cast<size_t>(big_endian(png, at));
    GRAFT_CHECK(length <= png.size() - 12 - at, name, ": broken PNG: it is truncated");
    const std::string type(reinterpret_cast<const char*>(png.data()) + at + 4, 4);
    const bool is_needed = type[0] >= 'A' && type[0] <= 'Z';
    if (is_needed && verifies_checksums) {
      const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(png.data()) + at + 4, length + 4);
      GRAFT_CHECK(static_cast<int64_t>(sum) == big_endian(png, at + 8 + length), name,
                  ": broken PNG: the checksum of ", type, " is wrong");
    }
    if (type == "IEND") return facts;
    if (type == "eXIf") facts.orientation = tiff_orientation(png.subspan(at + 8, length));
    if (type == "acTL") facts.is_animated = true;
    at += 12 + length;
  }
}

// Source: BITMAPFILEHEADER, then BITMAPCOREHEADER (12 bytes) or BITMAPINFOHEADER and its successors
// (40 and more).
void check_bmp_length(std::span<const std::byte> bmp, const std::string& name) {
  GRAFT_CHECK(bmp.size() >= 26, name, ": broken BMP: it is truncated");
  const bool is_core = little_endian(bmp, 14, 4) == 12;
  GRAFT_CHECK(is_core || bmp.size() >= 34, name, ": broken BMP: it is truncated");
  const int64_t pixels = little_endian(bmp, 10, 4);
  const int64_t width = is_core ? little_endian(bmp, 18, 2) : little_endian(bmp, 18, 4);
  const int64_t height = std::abs(is_core ? little_endian(bmp, 20, 2) : little_endian(bmp, 22, 4));
  const int64_t bits = little_endian(bmp, is_core ? 24 : 28, 2);
  const bool sound = pixels >= 26 && width >= 1 && height >= 1 && bits >= 1 && bits <= 32;
  GRAFT_CHECK(sound, name, ": broken BMP: its header cannot be read");
  const int64_t last_row = (width * bits + 7) / 8, row = (last_row + 3) / 4 * 4;
  const int64_t size = std::ssize(bmp);
  GRAFT_CHECK(height <= size && row <= size && pixels <= size &&
                  row * (height - 1) + last_row <= size - pixels,
              name, ": broken BMP: it is truncated");
}

}  // namespace graft::io
