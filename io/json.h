// What reading JSON from a file that may be hostile needs beyond the parser: how deep it may nest (what walks a parsed
// document recurses), and integers that are integers (the parser's own conversion of 1e30 to int64_t is undefined).
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "graft/core/base/export.h"

namespace graft::io {

// bad_input naming `what` when lists and objects nest deeper than 64. The text need not be valid JSON.
GRAFT_API void check_json_depth(std::string_view json, const std::string& what);

// object[name] as an integer; bad_input when it is missing, no whole number, or outside int64_t.
GRAFT_API int64_t json_integer(const nlohmann::json& object, const char* name);

}  // namespace graft::io
