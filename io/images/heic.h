// HEIC decoding, walled off: libheif appears in heic.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

extern const bool kHasHeic;  // whether this build reads it

// RGB, upright; of several pictures the main one. bad_input in a build without libheif.
Image decode_heic(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
