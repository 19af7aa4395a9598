// What an image file's header says: its size, and how much memory decoding takes at most, before
// any of it is taken.
#pragma once
#include <cstdint>

#include "graft/core/base/file_system.h"

namespace graft::io {

struct ImageHeader {
  int64_t width = 0, height = 0;  // as stored (HEIC: before it is cropped); 0: not read
  int64_t channels = 0;           // of the decoded image: 1 or 3
  // While a training input is made of it: the file's bytes, the decoder's memory and, unless its
  // rows are used as they come, the pixels.
  int64_t decode_bytes = 0;
};

// Reads no more than the header. A file that is no image, or a broken one, gives zeros: whoever
// decodes it says what is wrong.
GRAFT_API ImageHeader read_image_header(File& file);

}  // namespace graft::io
