// PNG and BMP decoding, walled off: stb_image appears in stb.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

// window: of 16-bit grey.
Image decode_with_stb(std::span<const std::byte> bytes, const std::string& name,
                      const GreyWindow& window = {});

}  // namespace graft::io
