// JPEG decoding, walled off: libjpeg-turbo appears in jpeg.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
