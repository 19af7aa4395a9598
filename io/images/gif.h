// GIF: the first frame.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

// RGB. A frame smaller than the picture stands on the transparent colour, else the background's.
Image decode_gif(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
