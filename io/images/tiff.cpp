#include "graft/io/images/tiff.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "graft/io/images/exif.h"

#ifdef GRAFT_HAS_TIFF
#include <tiffio.h>
#endif

namespace graft::io {

#ifdef GRAFT_HAS_TIFF
const bool kHasTiff = true;

namespace {

// A file in memory for libtiff, and the first thing it complained of.
struct TiffMemory {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
  char message[200] = {};
};

TiffMemory& memory_of(thandle_t handle) { return *static_cast<TiffMemory*>(handle); }

tmsize_t read_memory(thandle_t handle, void* to, tmsize_t wanted) {
  TiffMemory& m = memory_of(handle);
  if (m.at >= m.bytes.size() || wanted <= 0) return 0;
  const size_t count = std::min<size_t>(static_cast<size_t>(wanted), m.bytes.size() - m.at);
  std::memcpy(to, m.bytes.data() + m.at, count);
  m.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek_memory(thandle_t handle, toff_t offset, int whence) {
  TiffMemory& m = memory_of(handle);
  if (whence == SEEK_CUR) offset += m.at;
  if (whence == SEEK_END) offset += m.bytes.size();
  return m.at = offset;
}
int close_nothing(thandle_t) { return 0; }
toff_t memory_size(thandle_t handle) { return memory_of(handle).bytes.size(); }
int map_memory(thandle_t handle, void** base, toff_t* size) {
  const TiffMemory& m = memory_of(handle);
  *base = const_cast<std::byte*>(m.bytes.data());
  *size = m.bytes.size();
  return 1;
}
void unmap_nothing(thandle_t, void*, toff_t) {}

int keep_message(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* memory = static_cast<TiffMemory*>(user);
  if (memory->message[0] == '\0')
    std::vsnprintf(memory->message, sizeof memory->message, format, arguments);
  return 1;  // said: libtiff's own handler, which prints, is not called
}
int ignore_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using OpenTiff = std::unique_ptr<TIFF, CloseTiff>;

OpenTiff open_tiff(TiffMemory& memory) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  // One block: an image of four 16-bit samples, or what the directory lists, which the file holds.
  TIFFOpenOptionsSetMaxSingleMemAlloc(
      options.get(), static_cast<tmsize_t>(image_pixel_limit() * 8 + (int64_t{1} << 20)));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_message, &memory);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_warning, nullptr);
  return OpenTiff(TIFFClientOpenExt("image", "r", &memory, read_memory, write_nothing, seek_memory,
                                    close_nothing, memory_size, map_memory, unmap_nothing,
                                    options.get()));
}

template <class T>
T field(TIFF* tiff, uint32_t tag, T otherwise) {
  T value = otherwise;
  return TIFFGetFieldDefaulted(tiff, tag, &value) ? value : otherwise;
}

struct TiffShape {
  int64_t width = 0, height = 0;
  int bits = 0, orientation = 1;
  bool is_grey = false;
  bool has_window = false;   // 16-bit grey of one channel
  bool is_inverted = false;  // 0 is white
};

// Everything that decoding allocates follows from these fields, so they are checked first.
TiffShape check_shape(TIFF* tiff, const std::string& name) {
  TiffShape shape;
  shape.width = field<uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0);
  shape.height = field<uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0);
  shape.bits = field<uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  const int samples = field<uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  const int format = field<uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  const int compression = field<uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  const int photometric = field<uint16_t>(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  shape.orientation = field<uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  GRAFT_CHECK(shape.width >= 1 && shape.height >= 1, name, ": broken TIFF: it has no pixels");
  GRAFT_CHECK(
      shape.width <= image_pixel_limit() && shape.height <= image_pixel_limit() / shape.width, name,
      ": ", shape.width, "x", shape.height, " pixels, more than the limit of ", image_pixel_limit(),
      " (--max-pixels)");
  GRAFT_CHECK(format == SAMPLEFORMAT_UINT && shape.bits <= 16, name, ": a TIFF of ", shape.bits,
              "-bit ", format == SAMPLEFORMAT_IEEEFP ? "floating-point" : "integer",
              " samples is not read; unsigned samples of 1 to 16 bits are");
  GRAFT_CHECK(samples >= 1 && samples <= 5, name, ": a TIFF of ", samples,
              " channels is not read; up to 5 are");
  switch (compression) {
    case COMPRESSION_NONE:
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
    case COMPRESSION_LZW:
    case COMPRESSION_JPEG:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_PACKBITS: break;
    default: bad_input(name, ": a TIFF of compression ", compression, " is not read");
  }
  const uint64_t most = static_cast<uint64_t>(shape.width * shape.height) * 10 + (1u << 20);
  const uint64_t piece = TIFFIsTiled(tiff) ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
  GRAFT_CHECK(piece > 0 && piece <= most, name,
              ": broken TIFF: its strips or tiles are larger than the image");
  shape.is_grey = samples <= 2 &&
                  (photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE);
  shape.has_window = shape.is_grey && samples == 1 && shape.bits == 16;
  shape.is_inverted = photometric == PHOTOMETRIC_MINISWHITE;
  return shape;
}

// Strips or tiles of 16-bit grey through the window; false where libtiff gives up.
bool read_window(TIFF* tiff, const TiffShape& shape, const GreyWindow& window, uint8_t* out) {
  const bool tiled = TIFFIsTiled(tiff);
  const int64_t columns = tiled ? field<uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0) : shape.width,
                rows = tiled ? field<uint32_t>(tiff, TIFFTAG_TILELENGTH, 0) : 1;
  const int64_t bytes = tiled ? TIFFTileSize(tiff) : TIFFScanlineSize(tiff);
  if (columns < 1 || rows < 1 || bytes / 2 / rows < columns) return false;
  std::vector<uint16_t> piece(static_cast<size_t>(bytes + 1) / 2);
  for (int64_t top = 0; top < shape.height; top += rows)
    for (int64_t left = 0; left < shape.width; left += columns) {
      const auto x = static_cast<uint32_t>(left), y = static_cast<uint32_t>(top);
      const bool is_read = tiled ? TIFFReadTile(tiff, piece.data(), x, y, 0, 0) >= 0
                                 : TIFFReadScanline(tiff, piece.data(), y, 0) >= 0;
      if (!is_read) return false;
      for (int64_t row = 0; row < std::min(rows, shape.height - top); ++row)
        for (int64_t column = 0; column < std::min(columns, shape.width - left); ++column) {
          const uint8_t level = window.level(piece[static_cast<size_t>(row * columns + column)]);
          out[(top + row) * shape.width + left + column] =
              shape.is_inverted ? static_cast<uint8_t>(255 - level) : level;
        }
    }
  return true;
}

// libtiff would multiply the colors by an alpha that stands beside them; alpha is dropped instead.
void take_colors_as_they_are(TIFF* tiff) {
  uint16_t count = 0;
  uint16_t* kinds = nullptr;
  if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0) return;
  const std::array<uint16_t, 4> associated = {EXTRASAMPLE_ASSOCALPHA, EXTRASAMPLE_UNSPECIFIED,
                                              EXTRASAMPLE_UNSPECIFIED, EXTRASAMPLE_UNSPECIFIED};
  if (kinds[0] == EXTRASAMPLE_UNASSALPHA && count <= associated.size())
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, count, associated.data());
}

}  // namespace

Image decode_tiff(std::span<const std::byte> bytes, const std::string& name,
                  const GreyWindow& window) {
  TiffMemory memory{bytes};
  const auto broken = [&](const char* otherwise) {
    bad_input(name, ": broken TIFF: ", memory.message[0] ? memory.message : otherwise);
  };
  const OpenTiff tiff = open_tiff(memory);
  if (!tiff) broken("its header cannot be read");
  const TiffShape shape = check_shape(tiff.get(), name);
  memory.message[0] = '\0';
  const bool has_pages = TIFFLastDirectory(tiff.get()) == 0;
  // libtiff turns an image only halfway: it is read as stored and turned by graft.
  TIFFSetField(tiff.get(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  if (window.is_given() && shape.has_window) {
    Image image{shape.width, shape.height, 1,
                Tensor::empty({shape.height, shape.width, 1}, {.dtype = DType::u8})};
    if (!read_window(tiff.get(), shape, window, image.pixels.mutable_data<uint8_t>()))
      broken("its pixels cannot be decoded");
    if (has_pages) image.remark = "the first of several pages is read";
    return upright(image, shape.orientation);
  }
  take_colors_as_they_are(tiff.get());
  const auto pixels = static_cast<size_t>(shape.width * shape.height);
  const std::unique_ptr<uint32_t, void (*)(void*)> raster(
      static_cast<uint32_t*>(std::malloc(pixels * 4)), std::free);
  if (!raster) fail(ErrorCode::resource, name, ": out of memory while decoding TIFF");
  const bool whole = TIFFReadRGBAImageOriented(tiff.get(), static_cast<uint32_t>(shape.width),
                                               static_cast<uint32_t>(shape.height), raster.get(),
                                               ORIENTATION_TOPLEFT, 1);
  if (!whole) broken("its pixels cannot be decoded");
  const int64_t channels = shape.is_grey ? 1 : 3;
  Image image{shape.width, shape.height, channels,
              Tensor::empty({shape.height, shape.width, channels}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  for (size_t i = 0; i < pixels; ++i) {
    const uint32_t pixel = raster.get()[i];
    *out++ = static_cast<uint8_t>(TIFFGetR(pixel));
    if (channels == 1) continue;
    *out++ = static_cast<uint8_t>(TIFFGetG(pixel));
    *out++ = static_cast<uint8_t>(TIFFGetB(pixel));
  }
  if (window.is_given()) image.remark = kNoWindowRemark;
  if (shape.is_grey && shape.bits > 8 && !window.is_given()) image.remark = kUpperHalfRemark;
  if (has_pages)
    image.remark += str(image.remark.empty() ? "" : "; ", "the first of several pages is read");
  return upright(image, shape.orientation);
}
#else
const bool kHasTiff = false;

Image decode_tiff(std::span<const std::byte>, const std::string& name, const GreyWindow&) {
  bad_input(name, ": this graft was built without TIFF");
}
#endif

}  // namespace graft::io
