#include "graft/io/images/image_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "graft/core/base/checked_math.h"
#include "graft/io/images/dicom.h"
#include "graft/io/images/exif.h"
#include "graft/io/images/image.h"
#include "graft/io/images/nifti.h"

namespace graft::io {
namespace {

constexpr int64_t kDecoderBytes = int64_t{512} << 10;  // libjpeg's tables, zlib's window, rows

// A file's bytes at an offset; nothing behind its end.
class HeaderBytes {
 public:
  explicit HeaderBytes(File& file) : file_(file), size_(file.size()) {}
  int64_t size() const { return size_; }
  bool read(int64_t at, std::span<std::byte> out) {
    if (at < 0 || std::ssize(out) > size_ - at) return false;
    file_.read_at(at, out);
    return true;
  }
  template <size_t N>
  std::optional<std::array<int64_t, N>> bytes(int64_t at) {
    std::array<std::byte, N> raw;
    if (!read(at, raw)) return std::nullopt;
    std::array<int64_t, N> values;
    std::transform(raw.begin(), raw.end(), values.begin(),
                   [](std::byte b) { return std::to_integer<int64_t>(b); });
    return values;
  }
  std::optional<int64_t> big_endian(int64_t at, int count) {
    int64_t value = 0;
    for (int i = 0; i < count; ++i) {
      const auto byte = bytes<1>(at + i);
      if (!byte) return std::nullopt;
      value = value << 8 | (*byte)[0];
    }
    return value;
  }
  std::optional<int64_t> little_endian(int64_t at, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const auto byte = bytes<1>(at + i);
      if (!byte) return std::nullopt;
      value |= static_cast<uint32_t>((*byte)[0]) << (8 * i);
    }
    return static_cast<int32_t>(value);
  }

 private:
  File& file_;
  int64_t size_;
};

// ---- JPEG: ITU-T T.81, annex B

struct JpegFrame {
  bool progressive = false;
  int64_t width = 0, height = 0, components = 0, block_bytes = 0;  // of all coefficients
};

bool is_frame(int64_t marker) {  // SOF0 to SOF15 without DHT, JPG and DAC
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

std::optional<JpegFrame> frame_at(HeaderBytes& file, int64_t at, int64_t marker) {
  const auto height = file.big_endian(at + 1, 2), width = file.big_endian(at + 3, 2),
             components = file.big_endian(at + 5, 1);
  if (!height || !width || !components || *components < 1 || *components > 4) return std::nullopt;
  JpegFrame frame{marker != 0xc0 && marker != 0xc1, *width, *height, *components, 0};
  std::array<std::pair<int64_t, int64_t>, 4> samplings;
  int64_t most_h = 1, most_v = 1;
  for (int64_t c = 0; c < *components; ++c) {
    const auto packed = file.big_endian(at + 7 + 3 * c, 1);
    if (!packed || *packed >> 4 == 0 || (*packed & 15) == 0) return std::nullopt;
    samplings[static_cast<size_t>(c)] = {*packed >> 4, *packed & 15};
    most_h = std::max(most_h, *packed >> 4), most_v = std::max(most_v, *packed & 15);
  }
  const int64_t across = ceil_div(*width, 8 * most_h), down = ceil_div(*height, 8 * most_v);
  for (int64_t c = 0; c < *components; ++c) {
    const auto [h, v] = samplings[static_cast<size_t>(c)];
    frame.block_bytes += across * h * down * v * 64 * 2;
  }
  return frame;
}

// libjpeg keeps all coefficients when a file has several scans; else rows pass through.
ImageHeader jpeg_header(HeaderBytes& file) {
  std::optional<JpegFrame> frame;
  int orientation = 1;
  int64_t kept = 0;  // markers that the reader keeps
  int64_t junk = 0;  // a file of more is refused wherever memory is counted
  constexpr int64_t kMostJunk = 65536;
  for (int64_t at = 2;;) {
    const auto begin = file.bytes<2>(at);
    if (!begin) return {};
    if ((*begin)[0] != 0xff) {  // libjpeg passes over what stands between markers
      if (++junk > kMostJunk) return {0, 0, 3, std::numeric_limits<int64_t>::max() / 4};
      ++at;
      continue;
    }
    const int64_t marker = (*begin)[1];
    if (marker == 0xff) {  // fill
      ++at;
      continue;
    }
    const auto length = file.big_endian(at + 2, 2);
    if (!length || *length < 2) return {};
    if (marker == 0xe1) kept += *length;
    if (marker == 0xe1 && orientation == 1) {
      std::vector<std::byte> content(static_cast<size_t>(*length - 2));
      if (!file.read(at + 4, content)) return {};
      orientation = exif_orientation(content);
    }
    if (is_frame(marker)) frame = frame_at(file, at + 4, marker);
    if (marker == 0xda) {
      const auto in_scan = file.big_endian(at + 4, 1);
      if (!frame || !in_scan) return {};
      frame->progressive = frame->progressive || *in_scan < frame->components;
      break;
    }
    at += 2 + *length;
  }
  const int64_t pixels = frame->width * frame->height;
  ImageHeader header{frame->width, frame->height, frame->components == 1 ? 1 : 3, 0};
  const int64_t rows = frame->width * frame->components * 64;
  header.decode_bytes =
      file.size() + kDecoderBytes + kept + rows + (frame->progressive ? frame->block_bytes : 0);
  const bool four = frame->components == 4, turned = orientation != 1;
  if (four)
    header.decode_bytes += pixels * 7;  // CMYK and what becomes of it
  else if (turned)
    header.decode_bytes += pixels * 2 * header.channels;  // as stored, and upright
  return header;
}

// ---- PNG: ISO/IEC 15948, read by stb_image

ImageHeader png_header(HeaderBytes& file) {
  const auto width = file.big_endian(16, 4), height = file.big_endian(20, 4),
             depth = file.big_endian(24, 1), type = file.big_endian(25, 1),
             interlaced = file.big_endian(28, 1);
  if (!interlaced || *width < 1 || *height < 1 || *width > INT32_MAX || *height > INT32_MAX)
    return {};
  bool has_transparency = false;
  for (int64_t at = 8;;) {
    const auto length = file.big_endian(at, 4), kind = file.big_endian(at + 4, 4);
    if (!length || !kind || *kind == 0x49444154) break;          // IDAT
    has_transparency = has_transparency || *kind == 0x74524e53;  // tRNS
    at += 12 + *length;
  }
  const bool palette = *type == 3, colour = (*type & 2) != 0;
  const int64_t stored = palette ? 1 : (colour ? 3 : 1) + (*type >> 2 & 1),
                bytes = *depth > 8 ? 2 : 1;
  ImageHeader header{*width, *height, colour ? 3 : 1, 0};
  if (*width > image_pixel_limit() / *height) return header;  // refused before it is decoded
  const int64_t pixels = *width * *height, channels = header.channels;
  // Packed rows, each with its filter's byte; interlaced they outgrow the first guess, which
  // doubles.
  const int64_t packed =
                    (*width * stored * std::max<int64_t>(*depth, 1) + 7) / 8 * *height + *height,
                unpacked = *interlaced ? 2 * packed : packed,
                samples = pixels * (stored + (has_transparency && !palette)) * bytes;
  const int64_t most =
      std::max({3 * file.size(), 2 * file.size() + (*interlaced ? 3 * packed : packed),
                unpacked + samples + (*interlaced ? samples / 2 : 0) +
                    (palette ? pixels * std::max<int64_t>(channels, has_transparency ? 4 : 3) : 0),
                samples + pixels * channels * bytes, pixels * channels * (bytes + 1)});
  header.decode_bytes = file.size() + kDecoderBytes + most;
  return header;
}

// ---- BMP and PNM

ImageHeader bmp_header(HeaderBytes& file) {
  const auto info = file.little_endian(14, 4);
  const bool core = info && *info == 12;
  const auto width = file.little_endian(18, core ? 2 : 4),
             height = file.little_endian(core ? 20 : 22, core ? 2 : 4);
  if (!width || !height || *width < 1 || *height == 0) return {};
  ImageHeader header{*width, std::abs(*height), 3, 0};
  if (header.width > image_pixel_limit() / header.height) return header;
  header.decode_bytes = file.size() + kDecoderBytes + header.width * header.height * 7;
  return header;
}

// The pixels follow from the file's size: a sample is at least a byte.
ImageHeader pnm_header(HeaderBytes& file, bool colour) {
  ImageHeader header{0, 0, colour ? 3 : 1, 0};
  header.decode_bytes = 2 * file.size() + kDecoderBytes;
  return header;
}

// ---- GIF, WebP and TIFF: bounds a pixel, generous, for decoders whose own memory is not
// documented

ImageHeader bounded_header(HeaderBytes& file, std::optional<int64_t> width,
                           std::optional<int64_t> height, int64_t bytes_a_pixel) {
  if (!width || !height || *width < 1 || *height < 1) return {};
  ImageHeader header{*width, *height, 3, 0};
  if (header.width > image_pixel_limit() / header.height)
    return header;  // refused before it is decoded
  header.decode_bytes =
      2 * file.size() + kDecoderBytes + header.width * header.height * bytes_a_pixel;
  return header;
}

// Indices of a frame and the canvas, which becomes the image.
ImageHeader gif_header(HeaderBytes& file) {
  return bounded_header(file, file.little_endian(6, 2), file.little_endian(8, 2), 8);
}

// The canvas of an extended file; else the size in the one picture's own header: lossy (RFC 6386,
// 9.1) or lossless (14 bits each, less 1). Lossless pictures keep ARGB words and a copy of them.
ImageHeader webp_header(HeaderBytes& file) {
  constexpr int64_t kBytesAPixel = 20;
  const auto kind = file.big_endian(12, 4);
  if (!kind) return {};
  std::optional<int64_t> width, height;
  if (*kind == 0x56503858) {  // "VP8X"
    width = file.little_endian(24, 3), height = file.little_endian(27, 3);
    if (width && height) ++*width, ++*height;
  } else if (*kind == 0x56503820) {  // "VP8 "
    width = file.little_endian(26, 2), height = file.little_endian(28, 2);
    if (width && height) *width &= 0x3fff, *height &= 0x3fff;
  } else if (const auto packed = file.little_endian(21, 4); packed) {  // "VP8L"
    width = (*packed & 0x3fff) + 1, height = (*packed >> 14 & 0x3fff) + 1;
  }
  return bounded_header(file, width, height, kBytesAPixel);
}

// Of the first directory (TIFF 6.0, section 2; BigTIFF has longer fields). A strip may be the whole
// image, beside the raster that libtiff makes of it.
ImageHeader tiff_header(HeaderBytes& file, bool big_end_first) {
  constexpr int64_t kBytesAPixel = 24;
  const auto number = [&](int64_t at, int count) {
    return big_end_first ? file.big_endian(at, count) : file.little_endian(at, count);
  };
  const auto version = number(2, 2);
  if (!version || (*version != 42 && *version != 43)) return {};
  const bool long_fields = *version == 43;
  // Offsets beyond 2 GiB are beyond any image file that is read, so the low half says it all.
  const int64_t low = long_fields && big_end_first ? 4 : 0;
  const auto directory = long_fields ? number(8 + low, 4) : number(4, 4);
  if (!directory) return {};
  const auto count = long_fields ? number(*directory + low, 4) : number(*directory, 2);
  if (!count || *count < 1 || *count > 65536) return {};
  std::optional<int64_t> width, height;
  for (int64_t i = 0; i < *count; ++i) {
    const int64_t at = *directory + (long_fields ? 8 + 20 * i : 2 + 12 * i);
    const auto tag = number(at, 2), type = number(at + 2, 2);
    if (!tag || !type) break;
    if (*tag != 256 && *tag != 257) continue;
    const auto value = number(at + (long_fields ? 12 : 8), *type == 3 ? 2 : 4);
    (*tag == 256 ? width : height) = value;
  }
  return bounded_header(file, width, height, kBytesAPixel);
}

// AVIF and HEIC (ISO/IEC 14496-12, 4.2; 23008-12, 6.5.3): the largest of the sizes that the file's
// properties list, meta / iprp / ipco / ispe. A picture of tiles lists theirs and its own. Of a
// file without any nothing can be foretold: it is refused wherever memory is counted.
void find_largest_picture(HeaderBytes& file, int64_t begin, int64_t end, int depth,
                          ImageHeader& largest) {
  for (int64_t at = begin; end - at >= 8;) {
    const auto said = file.big_endian(at, 4), type = file.big_endian(at + 4, 4);
    if (!said || !type) return;
    const bool is_long = *said == 1;
    const auto length = is_long ? file.big_endian(at + 12, 4) : said;  // below 4 GiB
    if (!length) return;
    const int64_t head = is_long ? 16 : 8, next = *length == 0 ? end : at + *length;
    if (next < at + head || next > end) return;
    constexpr std::array<int64_t, 3> kBoxes = {0x6d657461, 0x69707270, 0x6970636f};
    if (depth < 3 && *type == kBoxes[static_cast<size_t>(depth)])  // meta has a version first
      find_largest_picture(file, at + head + (depth == 0 ? 4 : 0), next, depth + 1, largest);
    if (depth == 3 && *type == 0x69737065) {
      const auto width = file.big_endian(at + head + 4, 4),
                 height = file.big_endian(at + head + 8, 4);
      if (!width || !height || *width < 1 || *height < 1) return;
      if (largest.width == 0 || *width > largest.width * largest.height / *height)
        largest.width = *width, largest.height = *height;
    }
    at = next;
  }
}

ImageHeader boxed_header(HeaderBytes& file) {
  constexpr int64_t kBytesAPixel = 40;  // planes of 16 bits, a decoder's copies, RGB, upright
  ImageHeader largest;
  find_largest_picture(file, 0, file.size(), 0, largest);
  if (largest.width == 0) return {0, 0, 3, std::numeric_limits<int64_t>::max() / 4};
  return bounded_header(file, largest.width, largest.height, kBytesAPixel);
}

// DICOM and NIfTI: what the beginning of the file says. Stored values take 4 bytes a pixel beside
// the file, a packed volume is unpacked up to the slice's own volume.
ImageHeader medical_header(HeaderBytes& file) {
  constexpr int64_t kBeginning = 65536, kBytesAPixel = 12;
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(file.size(), kBeginning)));
  if (!file.read(0, bytes)) return {};
  if (is_dicom(bytes)) {
    const DicomSize size = dicom_size(bytes);
    ImageHeader header = bounded_header(file, size.width, size.height, kBytesAPixel);
    if (header.width > 0) header.channels = 1;
    return header;
  }
  const NiftiSize size = nifti_size(bytes);
  ImageHeader header = bounded_header(file, size.width, size.height, kBytesAPixel);
  if (header.width > 0) header.channels = 1;
  if (header.decode_bytes > 0) header.decode_bytes += 2 * size.volume_bytes;
  return header;
}

}  // namespace

ImageHeader read_image_header(File& file) {
  HeaderBytes bytes(file);
  const auto start = bytes.big_endian(0, 2);
  if (!start) return {};
  if (*start == 0xffd8) return jpeg_header(bytes);
  if (*start == 0x8950) return png_header(bytes);
  if (*start == 0x424d) return bmp_header(bytes);
  if (*start == 0x5035 || *start == 0x5036) return pnm_header(bytes, *start == 0x5036);
  if (*start == 0x4749) return gif_header(bytes);
  if (*start == 0x5249) return webp_header(bytes);
  if (*start == 0x4949 || *start == 0x4d4d) return tiff_header(bytes, *start == 0x4d4d);
  if (bytes.big_endian(4, 4) == 0x66747970) return boxed_header(bytes);  // "ftyp"
  return medical_header(bytes);
}

}  // namespace graft::io
