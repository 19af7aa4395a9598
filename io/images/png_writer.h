// Images as PNG files.
#pragma once
#include <cstdint>
#include <vector>

#include "graft/io/images/image.h"

namespace graft::io {

// 8 bits a sample, grey or RGB. With a palette (0xRRGGBB, up to 256 colors) a grey image's levels
// are its indices.
GRAFT_API std::vector<std::byte> png_of(const Image& image,
                                        const std::vector<uint32_t>& palette = {});
// Into a file, old content or new.
GRAFT_API void write_png(const std::string& path, const Image& image,
                         const std::vector<uint32_t>& palette = {});

}  // namespace graft::io
