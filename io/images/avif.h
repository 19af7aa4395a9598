// AVIF decoding, walled off: libavif appears in avif.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

extern const bool kHasAvif;  // whether this build reads it

// Grey or RGB, upright; of a sequence the first frame. bad_input in a build without libavif.
Image decode_avif(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
