// PGM and PPM (binary): P5 and P6 of https://netpbm.sourceforge.net/doc/pnm.html.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

Image decode_pnm(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
