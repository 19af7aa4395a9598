// Image: decoded 8-bit pixels, upright. JPEG (libjpeg-turbo), PNG, BMP (stb_image), GIF, PGM, PPM,
// DICOM, NIfTI;
// where built in WebP (libwebp), TIFF (libtiff), AVIF (libavif), HEIC (libheif); nothing else.
#pragma once
#include <span>
#include <string>

#include "graft/core/tensor/tensor.h"
#include "graft/io/images/grey_window.h"

namespace graft::io {

// Row-major [H,W,C], C = 1 (grey) or 3 (RGB).
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;
  Tensor pixels{};  // u8 [H,W,C]
  // What a user should know of how it was read ("the first of several frames is read"); "" mostly.
  std::string remark = {};
};

// bad_input unless the pixels are there as the image says: u8 [height,width,channels].
GRAFT_API void check_image(const Image& image);

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
constexpr int64_t kMaxImagePixels =
    int64_t{1} << 20;  // keeps a fuzzer from spending its time on clearing memory
#else
constexpr int64_t kMaxImagePixels =
    178956970;  // width * height, checked before decoding: Pillow's limit
#endif
// What is checked: kMaxImagePixels unless a program chose otherwise, for all its threads.
GRAFT_API int64_t image_pixel_limit();
GRAFT_API void set_image_pixel_limit(int64_t pixels);  // bad_input unless 1 .. 2^33
constexpr int64_t kMaxImageFileBytes = int64_t{512} << 20;

// 16-bit samples are reduced to their upper 8 bits (PNM: scaled by their maximum), alpha is dropped
// (as PIL's convert("RGB") does), palettes are expanded, CMYK converted, the orientation in EXIF
// (of JPEG, PNG, WebP and TIFF; of AVIF and HEIC in their own boxes) applied; of several frames or
// pages the first is read. Error(bad_input) naming `name` for what is broken, truncated, too large
// or of another format. A JPEG about which libjpeg only warns is broken when pixels are lost.
GRAFT_API Image decode_image(std::span<const std::byte> bytes, const std::string& name);
// The same with grey of more than 8 bits (of PNG, TIFF, DICOM and NIfTI) brought to 8 by the
// window; of others the remark says that it is not used.
GRAFT_API Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                             const GreyWindow& window);
// "volume.nii#12" is a slice (nifti.h).
GRAFT_API Image read_image(const std::string& path);

// By its first bytes: "JPEG", "PNG", "BMP", "GIF", "PNM", "WebP", "TIFF", "AVIF", "HEIC",
// "DICOM", "NIfTI"; "" for anything else. kFormatBytes are enough.
inline constexpr size_t kFormatBytes = 512;
GRAFT_API std::string image_format(std::span<const std::byte> bytes);
// Whether this build reads a format that image_format() names.
GRAFT_API bool is_read_format(const std::string& format);
// Whether the extension of a file name is one of the format's, or none.
GRAFT_API bool is_named_for(const std::string& path, const std::string& format);
// True for names that every verb takes for images, in any case: .jpg .jpeg .jpe .jfif .png .bmp
// .dib .gif .ppm .pgm .pnm .dcm .dicom .nii .nii.gz; where built in .webp .tif .tiff .avif .avifs
// .heic .heif .hif.
GRAFT_API bool has_image_extension(const std::string& path);

// The same pixels with another number of channels: grey to RGB by repetition; RGB to grey by ITU-R
// 601 luma (299 R + 587 G + 114 B) / 1000, rounded as PIL does.
GRAFT_API Image with_channels(const Image& image, int64_t channels);

}  // namespace graft::io
