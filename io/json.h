// What reading JSON from a file that may be hostile needs beyond the parser: how deep it may nest
// (what walks a parsed document recurses), zero bytes (the parser takes one for the end of the text
// and looks no further), and integers that are integers (its own conversion of 1e30 to int64_t is
// undefined).
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/core/base/export.h"

namespace graft::io {

// bad_input naming `what` when there is a zero byte in the text, or lists and objects nest deeper
// than 64. The text need not be valid JSON; the parser then refuses whatever follows a document.
GRAFT_API void check_json(std::string_view json, const std::string& what);

// object[name] as an integer; bad_input naming `what` when it is missing, no whole number, or
// outside int64_t. Json: nlohmann::json, whose header the caller includes (no public header does).
template <class Json>
int64_t json_integer(const Json& object, const char* name, const std::string& what) {
  const auto found = object.find(name);
  GRAFT_CHECK(found != object.end(), what, ": the field '", name, "' is missing");
  GRAFT_CHECK(found->is_number_integer(), what, ": the field '", name, "' is not a whole number");
  constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  GRAFT_CHECK(!found->is_number_unsigned() || found->template get<uint64_t>() <= most, what,
              ": the field '", name, "' is too large");
  return found->template get<int64_t>();
}

}  // namespace graft::io
