#include "graft/io/images/jpeg_writer.h"

#include <cstdio>
// clang-format off
#include <jpeglib.h>  // needs what cstdio defines
// clang-format on

#include <csetjmp>
#include <cstdlib>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

struct WriterErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = {};
};

void leave_writer(j_common_ptr info) {
  auto* errors = reinterpret_cast<WriterErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// False with the words in errors.message. Nothing with a destructor lives here: libjpeg jumps.
bool write_rows(const Image& image, int quality, WriterErrors& errors, jpeg_compress_struct& info,
                unsigned char** buffer, unsigned long* size) {
  if (setjmp(errors.jump)) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, buffer, size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  const uint8_t* pixels = image.pixels.data<uint8_t>();
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(pixels + info.next_scanline * image.width * image.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  check_image(image);
  GRAFT_CHECK(image.channels == 1 || image.channels == 3, "a JPEG of ", image.channels,
              " channels is not written");
  GRAFT_CHECK(quality >= 1 && quality <= 100, "a JPEG of quality ", quality);
  WriterErrors errors;
  jpeg_compress_struct info{};
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave_writer;
  errors.base.output_message = [](j_common_ptr) {};
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const bool is_written = write_rows(image, quality, errors, info, &buffer, &size);
  jpeg_destroy_compress(&info);
  std::vector<std::byte> bytes;
  const auto* begin = reinterpret_cast<const std::byte*>(buffer);
  if (is_written) bytes.assign(begin, begin + size);
  std::free(buffer);
  GRAFT_CHECK(is_written, "a picture could not be written as JPEG: ", errors.message);
  return bytes;
}

}  // namespace graft::io
