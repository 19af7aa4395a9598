#include "graft/io/images/image.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/io/images/jpeg.h"
#include "graft/io/images/luma.h"
#include "graft/io/images/pnm.h"
#include "graft/io/images/stb.h"
#include "graft/io/images/structure.h"

namespace graft::io {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool is_pnm(std::span<const std::byte> bytes) {
  return starts_with(bytes, "P5") || starts_with(bytes, "P6");
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& name) {
  GRAFT_CHECK(std::ssize(bytes) <= kMaxImageFileBytes, name, ": ", bytes.size(),
              " bytes are too many for an image");
  GRAFT_CHECK(!bytes.empty(), name, ": the image file is empty");
  if (starts_with(bytes, "\xff\xd8\xff")) return decode_jpeg(bytes, name);
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) {
    check_png_chunks(bytes, name);
    return decode_with_stb(bytes, name);
  }
  if (starts_with(bytes, "BM")) {
    check_bmp_length(bytes, name);
    return decode_with_stb(bytes, name);
  }
  if (is_pnm(bytes)) return decode_pnm(bytes, name);
  if (starts_with(bytes, "GIF8"))
    bad_input(name, ": GIF images are not read; JPEG, PNG, BMP and PNM are");
  if (starts_with(bytes, "RIFF"))
    bad_input(name, ": WebP images are not read; JPEG, PNG, BMP and PNM are");
  bad_input(name, ": not an image graft reads (JPEG, PNG, BMP, PNM)");
}

Image read_image(const std::string& path) {
  return decode_image(read_file(path, kMaxImageFileBytes), path);
}

bool has_image_extension(const std::string& path) {
  constexpr std::array<std::string_view, 7> known = {".jpg", ".jpeg", ".png", ".bmp",
                                                     ".ppm", ".pgm",  ".pnm"};
  return std::find(known.begin(), known.end(), lower_extension(path)) != known.end();
}

void check_image(const Image& image) {
  GRAFT_CHECK(image.width >= 1 && image.height >= 1 && image.channels >= 1, "an image of ",
              image.width, "x", image.height, "x", image.channels);
  const Shape said{image.height, image.width, image.channels};
  GRAFT_CHECK(image.pixels.defined() && image.pixels.dtype() == DType::u8 &&
                  image.pixels.shape() == said && image.pixels.format() == MemoryFormat::contiguous,
              "an image says that it is ", image.width, "x", image.height, "x", image.channels,
              ", its pixels are ",
              image.pixels.defined() ? str(name_of(image.pixels.dtype()), " ", image.pixels.shape())
                                     : std::string("not there"),
              ", expected uint8 [height,width,channels]");
}

Image with_channels(const Image& image, int64_t channels) {
  check_image(image);
  if (image.channels == channels) return image;
  GRAFT_CHECK((image.channels == 1 || image.channels == 3) && (channels == 1 || channels == 3),
              "an image of ", image.channels, " channels cannot become one of ", channels);
  const int64_t pixels = image.width * image.height;
  Image result{image.width, image.height, channels,
               Tensor::empty({image.height, image.width, channels}, {.dtype = DType::u8})};
  const uint8_t* in = image.pixels.data<uint8_t>();
  uint8_t* out = result.pixels.mutable_data<uint8_t>();
  if (channels == 3) {
    for (int64_t i = 0; i < pixels; ++i) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = in[i];
  } else {
    luma_row(in, pixels, out);
  }
  return result;
}

}  // namespace graft::io
