#include "graft/io/images/jpeg.h"

// clang-format off
#include <jpeglib.h>
#include <jerror.h>  // needs what jpeglib.h defines
// clang-format on

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "graft/io/images/exif.h"

namespace graft::io {
namespace {

constexpr int kMaxScans = 100;  // a progressive file of many scans costs time without end

// libjpeg's error object with a way back into C++.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  // Until the header is read, and with several scans (some may be missing): an end that comes too
  // soon loses pixels for certain.
  bool needs_end = true;
  char message[JMSG_LENGTH_MAX] = {};
};

void leave(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, manager->message);
  std::longjmp(manager->jump, 1);
}

// Of libjpeg's warnings (jerror.h) those behind which pixels are missing or made up; at the others
// (extraneous bytes, an odd JFIF revision, a missing end marker) all pixels are there.
bool loses_pixels(j_common_ptr info) {
  switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: return true;
    case JWRN_JPEG_EOF: return reinterpret_cast<ErrorManager*>(info->err)->needs_end;
    default: return false;
  }
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && loses_pixels(info)) leave(info);
}

void ignore(j_common_ptr) {}

void limit_scans(j_common_ptr info) {
  if (!info->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(manager->message, sizeof manager->message, "more than %d scans", kMaxScans);
  std::longjmp(manager->jump, 1);
}

// Adobe writes CMYK inverted: RGB = C*K/255 with the stored values.
Image cmyk_to_rgb(const Image& cmyk) {
  Image rgb{cmyk.width, cmyk.height, 3,
            Tensor::empty({cmyk.height, cmyk.width, 3}, {.dtype = DType::u8})};
  const uint8_t* in = cmyk.pixels.data<uint8_t>();
  uint8_t* out = rgb.pixels.mutable_data<uint8_t>();
  for (int64_t i = 0; i < cmyk.width * cmyk.height; ++i)
    for (int64_t c = 0; c < 3; ++c)
      out[3 * i + c] = static_cast<uint8_t>((in[4 * i + c] * in[4 * i + 3] + 127) / 255);
  return rgb;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (const jpeg_marker_struct* marker = info.marker_list; marker; marker = marker->next) {
    const int found = exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
    if (found != 1) return found;
  }
  return 1;
}

}  // namespace

// libjpeg's objects. The functions that set a jump hold nothing that would have to be destroyed.
struct JpegReader::Decoder {
  jpeg_decompress_struct info{};
  ErrorManager errors;
  jpeg_progress_mgr progress{};
  std::vector<uint8_t> row;
  const std::string* name = nullptr;

  Decoder() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = leave;
    errors.base.emit_message = on_message;
    errors.base.output_message = ignore;
    progress.progress_monitor = limit_scans;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }

  [[noreturn]] void complain() {
    if (errors.base.msg_code == JERR_OUT_OF_MEMORY)
      fail(ErrorCode::resource, *name, ": no memory to decode it");
    bad_input(*name, ": broken JPEG: ", static_cast<const char*>(errors.message));
  }

  // False: errors.message says why.
  bool create() {
    if (setjmp(errors.jump)) return false;
    jpeg_create_decompress(&info);
    info.progress = &progress;
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
    return true;
  }

  bool release() {
    if (setjmp(errors.jump)) return false;
    jpeg_abort_decompress(&info);
    return true;
  }

  bool read_header(std::span<const std::byte> bytes) {
    if (setjmp(errors.jump)) return false;
    jpeg_abort_decompress(&info);  // what the last image left
    errors.needs_end = true;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    errors.needs_end = jpeg_has_multiple_scans(&info) != FALSE;
    const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    const bool grey = info.jpeg_color_space == JCS_GRAYSCALE;
    info.out_color_space = four ? JCS_CMYK : (grey ? JCS_GRAYSCALE : JCS_RGB);
    info.dct_method = JDCT_ISLOW;
    return true;
  }

  // Decodes the window's columns and two more on either side, whose colours depend on the cut;
  // false: errors.message says why. `left` becomes the first column that is decoded.
  bool start(int shrink, const PixelWindow& window, int64_t& left) {
    if (setjmp(errors.jump)) return false;
    info.scale_num = 1;
    info.scale_denom = static_cast<unsigned>(shrink);
    jpeg_start_decompress(&info);
    left = 0;
    JDIMENSION first = static_cast<JDIMENSION>(window.left > 2 ? window.left - 2 : 0);
    JDIMENSION width =
        (window.right + 2 < info.output_width ? static_cast<JDIMENSION>(window.right + 2)
                                              : info.output_width) -
        first;
    if (width < info.output_width) {
      jpeg_crop_scanline(&info, &first, &width);
      left = first;
    }
    if (window.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(window.top));
    return true;
  }

  bool next_row() {
    if (setjmp(errors.jump)) return false;
    JSAMPROW to = row.data();
    jpeg_read_scanlines(&info, &to, 1);
    return true;
  }

  bool finish() {
    if (setjmp(errors.jump)) return false;
    jpeg_finish_decompress(&info);
    return true;
  }
};

JpegReader::JpegReader() : decoder_(std::make_unique<Decoder>()) {
  if (!decoder_->create())
    fail(ErrorCode::internal, "libjpeg: ", static_cast<const char*>(decoder_->errors.message));
}
JpegReader::~JpegReader() = default;

JpegHeader JpegReader::open(std::span<const std::byte> bytes, const std::string& name) {
  Decoder& d = *decoder_;
  d.name = &name;
  if (!d.read_header(bytes)) d.complain();
  const int64_t width = d.info.image_width, height = d.info.image_height;
  GRAFT_CHECK(width * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  const int64_t channels =
      d.info.out_color_space == JCS_CMYK ? 4 : (d.info.out_color_space == JCS_GRAYSCALE ? 1 : 3);
  return {width, height, channels, orientation_of(d.info)};
}

void JpegReader::read(int shrink, const PixelWindow& window,
                      FunctionRef<void(const uint8_t* pixels)> row) {
  Decoder& d = *decoder_;
  int64_t left = 0;
  if (!d.start(shrink, window, left)) d.complain();
  GRAFT_ASSERT(window.bottom <= d.info.output_height);
  const int64_t channels = d.info.output_components;
  d.row.resize(static_cast<size_t>(d.info.output_width) * static_cast<size_t>(channels));
  for (int64_t y = window.top; y < window.bottom; ++y) {
    if (!d.next_row()) d.complain();
    row(d.row.data() + (window.left - left) * channels);
  }
  if (window.bottom == d.info.output_height && !d.finish()) d.complain();
}

void JpegReader::close() {
  if (!decoder_->release()) fail(ErrorCode::internal, "libjpeg cannot be reset");
}

bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && std::memcmp(bytes.data(), "\xff\xd8\xff", 3) == 0;
}

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name, int shrink) {
  JpegReader reader;
  const JpegHeader header = reader.open(bytes, name);
  const int64_t width = (header.width + shrink - 1) / shrink,
                height = (header.height + shrink - 1) / shrink;
  Image image{width, height, header.channels,
              Tensor::empty({height, width, header.channels}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  const int64_t bytes_a_row = width * header.channels;
  reader.read(shrink, {0, 0, width, height}, [&](const uint8_t* pixels) {
    std::memcpy(out, pixels, static_cast<size_t>(bytes_a_row));
    out += bytes_a_row;
  });
  if (header.channels == 4) image = cmyk_to_rgb(image);
  return upright(image, header.orientation);
}

}  // namespace graft::io
