// Names in the order in which people count: frame_2 before frame_10.
#pragma once
#include <string_view>

#include "graft/core/base/export.h"

namespace graft::io {

// Runs of digits are compared as numbers of any length, all else byte by byte; of names that are
// equal so, the one with fewer leading zeros first. A strict weak order.
GRAFT_API bool natural_less(std::string_view a, std::string_view b);

}  // namespace graft::io
