#include "graft/io/images/png_writer.h"

#include <zlib.h>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::io {
namespace {

void put_number(std::vector<std::byte>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(std::byte(value >> shift & 0xff));
}

// Source: PNG (ISO/IEC 15948) section 5.3: length, type, data, CRC of type and data.
void put_chunk(std::vector<std::byte>& out, const char* type, std::span<const std::byte> data) {
  put_number(out, static_cast<uint32_t>(data.size()));
  const size_t begin = out.size();
  for (size_t i = 0; i < 4; ++i) out.push_back(std::byte(type[i]));
  out.insert(out.end(), data.begin(), data.end());
  const auto sum =
      crc32_z(0, reinterpret_cast<const Bytef*>(out.data()) + begin, out.size() - begin);
  put_number(out, static_cast<uint32_t>(sum));
}

// Rows with a filter byte in front of each (none), deflated.
std::vector<std::byte> deflated_rows(const Image& image) {
  const auto row = static_cast<size_t>(image.width * image.channels);
  const auto rows = static_cast<size_t>(image.height);
  const auto* pixels = reinterpret_cast<const std::byte*>(image.pixels.data<uint8_t>());
  std::vector<std::byte> raw;
  raw.reserve((row + 1) * rows);
  for (size_t y = 0; y < rows; ++y) {
    raw.push_back(std::byte{0});
    raw.insert(raw.end(), pixels + y * row, pixels + (y + 1) * row);
  }
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::vector<std::byte> packed(size);
  const int code = compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                             reinterpret_cast<const Bytef*>(raw.data()),
                             static_cast<uLong>(raw.size()), Z_DEFAULT_COMPRESSION);
  if (code != Z_OK) fail(ErrorCode::resource, "no memory to write a PNG");
  packed.resize(size);
  return packed;
}

}  // namespace

std::vector<std::byte> png_of(const Image& image, const std::vector<uint32_t>& palette) {
  check_image(image);
  GRAFT_CHECK((image.channels == 1 || image.channels == 3) && palette.size() <= 256 &&
                  (palette.empty() || image.channels == 1),
              "a PNG of ", image.channels, " channels with a palette of ", palette.size());
  std::vector<std::byte> out;
  for (const int byte : {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a})
    out.push_back(std::byte(byte));
  constexpr int kGrey = 0, kColor = 2, kPalette = 3;
  const int type = !palette.empty() ? kPalette : image.channels == 3 ? kColor : kGrey;
  std::vector<std::byte> header;
  put_number(header, static_cast<uint32_t>(image.width));
  put_number(header, static_cast<uint32_t>(image.height));
  for (const int byte : {8, type, 0, 0, 0}) header.push_back(std::byte(byte));
  put_chunk(out, "IHDR", header);
  std::vector<std::byte> colors;
  for (const uint32_t color : palette)
    for (const int shift : {16, 8, 0}) colors.push_back(std::byte(color >> shift & 0xff));
  if (!colors.empty()) put_chunk(out, "PLTE", colors);
  put_chunk(out, "IDAT", deflated_rows(image));
  put_chunk(out, "IEND", {});
  return out;
}

void write_png(const std::string& path, const Image& image, const std::vector<uint32_t>& palette) {
  const std::vector<std::byte> bytes = png_of(image, palette);
  const std::span<const std::byte> whole(bytes);
  write_file_atomically(path, std::span(&whole, 1));
}

}  // namespace graft::io
