#include "graft/io/images/image.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/images/avif.h"
#include "graft/io/images/dicom.h"
#include "graft/io/images/exif.h"
#include "graft/io/images/gif.h"
#include "graft/io/images/heic.h"
#include "graft/io/images/jpeg.h"
#include "graft/io/images/luma.h"
#include "graft/io/images/nifti.h"
#include "graft/io/images/pnm.h"
#include "graft/io/images/stb.h"
#include "graft/io/images/structure.h"
#include "graft/io/images/tiff.h"
#include "graft/io/images/webp.h"

namespace graft::io {
namespace {
std::atomic<int64_t> g_pixel_limit{kMaxImagePixels};
}

int64_t image_pixel_limit() { return g_pixel_limit.load(std::memory_order_relaxed); }
void set_image_pixel_limit(int64_t pixels) {
  GRAFT_CHECK(pixels >= 1 && pixels <= int64_t{1} << 33, "a limit of ", pixels,
              " pixels an image is not between 1 and 2^33");
  g_pixel_limit = pixels;
}

namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// Source: ISO/IEC 14496-12 section 4.3: size, "ftyp", the major brand, a version, and the brands
// that the file is compatible with. "mif1" and "msf1" say nothing of how pixels are coded; HEIC
// then.
std::string boxed_format(std::span<const std::byte> bytes) {
  if (bytes.size() < 12 || !starts_with(bytes.subspan(4), "ftyp")) return "";
  const auto is_one_of = [](std::span<const std::byte> brand, auto... names) {
    return (starts_with(brand, names) || ...);
  };
  const auto major = bytes.subspan(8);
  if (is_one_of(major, "avif", "avis")) return "AVIF";
  if (is_one_of(major, "heic", "heix", "heim", "heis", "hevc", "hevx")) return "HEIC";
  if (!is_one_of(major, "mif1", "msf1")) return "";
  const size_t said = std::to_integer<size_t>(bytes[2]) << 8 | std::to_integer<size_t>(bytes[3]);
  for (size_t at = 16; at + 4 <= std::min(bytes.size(), said); at += 4)
    if (is_one_of(bytes.subspan(at), "avif", "avis")) return "AVIF";
  return "HEIC";
}

std::string read_formats() {
  std::vector<std::string> formats = {"JPEG", "PNG"};
  for (const char* optional : {"WebP", "TIFF", "AVIF", "HEIC"})
    if (is_read_format(optional)) formats.push_back(optional);
  formats.insert(formats.end(), {"GIF", "BMP", "PNM", "DICOM"});
  return join(formats) + " and NIfTI";
}

}  // namespace

std::string image_format(std::span<const std::byte> bytes) {
  if (starts_with(bytes, "\xff\xd8\xff")) return "JPEG";
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return "PNG";
  if (starts_with(bytes, "BM")) return "BMP";
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return "GIF";
  if (starts_with(bytes, "P5") || starts_with(bytes, "P6")) return "PNM";
  if (starts_with(bytes, "RIFF") && bytes.size() >= 12 && starts_with(bytes.subspan(8), "WEBP"))
    return "WebP";
  if (starts_with(bytes, std::string_view("II*\0", 4)) ||
      starts_with(bytes, std::string_view("MM\0*", 4)) ||
      starts_with(bytes, std::string_view("II+\0", 4)) ||
      starts_with(bytes, std::string_view("MM\0+", 4)))
    return "TIFF";
  if (is_dicom(bytes)) return "DICOM";
  if (is_nifti(bytes)) return "NIfTI";
  return boxed_format(bytes);
}

bool is_read_format(const std::string& format) {
  if (format == "WebP") return kHasWebp;
  if (format == "TIFF") return kHasTiff;
  if (format == "AVIF") return kHasAvif;
  if (format == "HEIC") return kHasHeic;
  return !format.empty();
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name) {
  return decode_image(bytes, name, {});
}

namespace {

// Of formats whose samples have 8 bits.
Image without_window(Image image, const GreyWindow& window) {
  if (window.is_given() && image.remark.empty()) image.remark = kNoWindowRemark;
  return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                   const GreyWindow& window) {
  GRAFT_CHECK(std::ssize(bytes) <= kMaxImageFileBytes, name, ": ", bytes.size(),
              " bytes are too many for an image");
  GRAFT_CHECK(!bytes.empty(), name, ": the image file is empty");
  const std::string format = image_format(bytes);
  if (format == "JPEG") return without_window(decode_jpeg(bytes, name), window);
  if (format == "PNG") {
    const PngFacts facts = check_png_chunks(bytes, name);
    Image image = decode_with_stb(bytes, name, window);
    if (image.remark.empty() && facts.is_animated)
      image.remark = "the first of several frames is read";
    return upright(image, facts.orientation);
  }
  if (format == "BMP") {
    check_bmp_length(bytes, name);
    return decode_with_stb(bytes, name, window);
  }
  if (format == "GIF") return without_window(decode_gif(bytes, name), window);
  if (format == "PNM") return without_window(decode_pnm(bytes, name), window);
  if (format == "WebP" && kHasWebp) return without_window(decode_webp(bytes, name), window);
  if (format == "TIFF" && kHasTiff) return decode_tiff(bytes, name, window);
  if (format == "AVIF" && kHasAvif) return without_window(decode_avif(bytes, name), window);
  if (format == "HEIC" && kHasHeic) return without_window(decode_heic(bytes, name), window);
  if (format == "DICOM") return decode_dicom(bytes, name, window);
  if (format == "NIfTI") return decode_nifti(bytes, name, window);
  if (!format.empty())
    bad_input(name, ": this graft was built without ", format, "; ", read_formats(), " are read");
  bad_input(name, ": not an image graft reads (", read_formats(), ")");
}

Image read_image(const std::string& path) {
  return decode_image(read_file(slice_path(path).file, kMaxImageFileBytes), path);
}

namespace {

struct Extension {
  std::string_view extension, format;
};
constexpr std::array<Extension, 23> kExtensions = {
    {{".jpg", "JPEG"},    {".jpeg", "JPEG"}, {".jpe", "JPEG"},    {".jfif", "JPEG"},
     {".png", "PNG"},     {".bmp", "BMP"},   {".dib", "BMP"},     {".gif", "GIF"},
     {".ppm", "PNM"},     {".pgm", "PNM"},   {".pnm", "PNM"},     {".webp", "WebP"},
     {".tif", "TIFF"},    {".tiff", "TIFF"}, {".avif", "AVIF"},   {".avifs", "AVIF"},
     {".heic", "HEIC"},   {".heif", "HEIC"}, {".hif", "HEIC"},    {".dcm", "DICOM"},
     {".dicom", "DICOM"}, {".nii", "NIfTI"}, {".nii.gz", "NIfTI"}}};

std::string image_extension(const std::string& path) {
  const std::string file = slice_path(path).file, last = lower_extension(file);
  if (last != ".gz") return last;
  return lower_extension(file.substr(0, file.size() - last.size())) + last;
}

}  // namespace

bool has_image_extension(const std::string& path) {
  const std::string extension = image_extension(path);
  for (const Extension& known : kExtensions)
    if (known.extension == extension) return is_read_format(std::string(known.format));
  return false;
}

bool is_named_for(const std::string& path, const std::string& format) {
  const std::string extension = image_extension(path);
  return extension.empty() ||
         std::any_of(kExtensions.begin(), kExtensions.end(), [&](const Extension& known) {
           return known.extension == extension && known.format == format;
         });
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
