// JPEG decoding, walled off: libjpeg-turbo appears in jpeg.cpp only.
#pragma once
#include <memory>

#include "graft/core/base/function_ref.h"
#include "graft/io/images/image.h"
#include "graft/io/images/pixel_window.h"

namespace graft::io {

// By its first bytes.
bool is_jpeg(std::span<const std::byte> bytes);

// Upright, RGB or grey; shrunk to 1/1, 1/2, 1/4 or 1/8.
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name, int shrink = 1);

struct JpegHeader {
  int64_t width = 0, height = 0;  // as stored: before it is turned upright
  int64_t channels = 0;           // 1, 3, or 4: CMYK
  int orientation = 1;            // EXIF's
};

// Reads parts of JPEGs, one after another; keeps what memory it can.
class JpegReader {
 public:
  JpegReader();
  ~JpegReader();
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Both outlive the reading. Error(bad_input) naming the file for what is broken or too large.
  JpegHeader open(std::span<const std::byte> bytes, const std::string& name);
  // After open(), once: the rows of a window of the image shrunk to 1/1, 1/2, 1/4 or 1/8 (sizes
  // rounded up), each from its column `left` on. The pixels are those that decoding everything
  // gives. What lies below the window is not decoded, so that damage there goes unnoticed; of what
  // lies above and beside it, most work is saved.
  void read(int shrink, const PixelWindow& window, FunctionRef<void(const uint8_t* pixels)> row);
  // Gives back what the last image's decoding holds.
  void close();

 private:
  struct Decoder;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace graft::io
