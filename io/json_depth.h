// A bound on how deep JSON from a file may nest: what walks a parsed document recurses.
#pragma once
#include <string>
#include <string_view>

#include "graft/core/base/export.h"

namespace graft::io {

// bad_input naming `what` when lists and objects nest deeper than 64. The text need not be valid JSON.
GRAFT_API void check_json_depth(std::string_view json, const std::string& what);

}  // namespace graft::io
