// PNG and BMP decoding, walled off: stb_image appears in stb.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

Image decode_with_stb(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
