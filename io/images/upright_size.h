// The size of an image file as it is shown: its EXIF orientation applied.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "graft/core/base/export.h"

namespace graft::io {

// Width and height, without decoding; zeros where the file is no image that can be read, which
// others say.
GRAFT_API std::pair<int64_t, int64_t> upright_size(const std::string& path);

}  // namespace graft::io
