// WebP decoding, walled off: libwebp appears in webp.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

extern const bool kHasWebp;  // whether this build reads it

// RGB, upright; of an animation the first frame. bad_input in a build without libwebp.
Image decode_webp(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
