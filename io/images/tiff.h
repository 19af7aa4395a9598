// TIFF decoding, walled off: libtiff appears in tiff.cpp only.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

extern const bool kHasTiff;  // whether this build reads it

// The first page, upright, RGB or grey: 1 to 16 bits a sample, in strips or tiles, with the
// compressions of photos and scans. bad_input in a build without libtiff.
// window: of 16-bit grey of one channel.
Image decode_tiff(std::span<const std::byte> bytes, const std::string& name,
                  const GreyWindow& window = {});

}  // namespace graft::io
