#include "graft/io/images/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <jpeglib.h>

#include "graft/io/images/exif.h"

namespace graft::io {
namespace {

constexpr int kMaxScans = 100;  // a progressive file of many scans costs time without end

// libjpeg's error object with a way back into C++. Warnings (truncated, corrupt data) are errors too.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = {};
};

void leave(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, manager->message);
  std::longjmp(manager->jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level < 0) leave(info);
}

void ignore(j_common_ptr) {}

void limit_scans(j_common_ptr info) {
  if (!info->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(manager->message, sizeof manager->message, "more than %d scans", kMaxScans);
  std::longjmp(manager->jump, 1);
}

// What decoding needs. Plain data: longjmp passes over it.
struct Decoder {
  jpeg_decompress_struct info;
  ErrorManager errors;
  jpeg_progress_mgr progress;
};

// Reads the header. False: decoder.errors.message says why.
bool open(Decoder& decoder, std::span<const std::byte> bytes) {
  if (setjmp(decoder.errors.jump)) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&decoder.info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&decoder.info, TRUE);
  const bool four = decoder.info.jpeg_color_space == JCS_CMYK || decoder.info.jpeg_color_space == JCS_YCCK;
  const bool grey = decoder.info.jpeg_color_space == JCS_GRAYSCALE;
  decoder.info.out_color_space = four ? JCS_CMYK : (grey ? JCS_GRAYSCALE : JCS_RGB);
  decoder.info.dct_method = JDCT_ISLOW;
  return true;
}

bool decode(Decoder& decoder, uint8_t* out, size_t stride) {
  if (setjmp(decoder.errors.jump)) return false;
  jpeg_start_decompress(&decoder.info);
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = out + stride * decoder.info.output_scanline;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

// Adobe writes CMYK inverted: RGB = C*K/255 with the stored values.
Image cmyk_to_rgb(const Image& cmyk) {
  Image rgb{cmyk.width, cmyk.height, 3, Tensor::empty({cmyk.height, cmyk.width, 3}, {.dtype = DType::u8})};
  const uint8_t* in = cmyk.pixels.data<uint8_t>();
  uint8_t* out = rgb.pixels.mutable_data<uint8_t>();
  for (int64_t i = 0; i < cmyk.width * cmyk.height; ++i)
    for (int64_t c = 0; c < 3; ++c) out[3 * i + c] = static_cast<uint8_t>((in[4 * i + c] * in[4 * i + 3] + 127) / 255);
  return rgb;
}

class DecoderGuard {
 public:
  explicit DecoderGuard(Decoder& decoder) : decoder_(decoder) {}
  ~DecoderGuard() { jpeg_destroy_decompress(&decoder_.info); }
  DecoderGuard(const DecoderGuard&) = delete;
  DecoderGuard& operator=(const DecoderGuard&) = delete;

 private:
  Decoder& decoder_;
};

int orientation_of(const jpeg_decompress_struct& info) {
  for (const jpeg_marker_struct* marker = info.marker_list; marker; marker = marker->next) {
    const int found = exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
    if (found != 1) return found;
  }
  return 1;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  Decoder decoder{};
  decoder.info.err = jpeg_std_error(&decoder.errors.base);
  decoder.errors.base.error_exit = leave;
  decoder.errors.base.emit_message = on_message;
  decoder.errors.base.output_message = ignore;
  decoder.progress.progress_monitor = limit_scans;
  const DecoderGuard guard(decoder);
  if (!open(decoder, bytes)) bad_input(name, ": broken JPEG: ", static_cast<const char*>(decoder.errors.message));
  const int orientation = orientation_of(decoder.info);  // before decoding, whose end frees the markers
  const int64_t width = decoder.info.image_width, height = decoder.info.image_height;
  GRAFT_CHECK(width * height <= kMaxImagePixels, name, ": ", width, "x", height, " pixels, more than the limit of ", kMaxImagePixels);
  const int64_t channels = decoder.info.out_color_space == JCS_CMYK ? 4 : (decoder.info.out_color_space == JCS_GRAYSCALE ? 1 : 3);
  Image image{width, height, channels, Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  if (!decode(decoder, image.pixels.mutable_data<uint8_t>(), static_cast<size_t>(width * channels)))
    bad_input(name, ": broken JPEG: ", static_cast<const char*>(decoder.errors.message));
  if (channels == 4) image = cmyk_to_rgb(image);
  return upright(image, orientation);
}

}  // namespace graft::io
