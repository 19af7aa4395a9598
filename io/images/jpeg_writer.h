// Small pictures for reports, written as JPEG.
#pragma once
#include <cstddef>
#include <vector>

#include "graft/io/images/image.h"

namespace graft::io {

// Baseline JPEG of grey or RGB pixels, up to 65,500 wide and high; quality 1 .. 100.
GRAFT_API std::vector<std::byte> encode_jpeg(const Image& image, int quality = 85);

}  // namespace graft::io
