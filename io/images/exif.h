// The one field of EXIF that graft reads: how the camera was held.
#pragma once
#include <span>

#include "graft/io/images/image.h"

namespace graft::io {

// Orientation (1 .. 8) from the body of a JPEG's APP1 segment; 1 when absent or malformed.
int exif_orientation(std::span<const std::byte> app1);
// The same from the TIFF block itself, as PNG's eXIf chunk and WebP hold it.
int tiff_orientation(std::span<const std::byte> block);
// Turns and mirrors the pixels so that the image stands upright.
Image upright(const Image& image, int orientation);

}  // namespace graft::io
