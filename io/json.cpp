#include "graft/io/json.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"

namespace graft::io {

void check_json_depth(std::string_view json, const std::string& what) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      GRAFT_CHECK(++depth <= 64, what, " is JSON nested deeper than 64 levels");
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

int64_t json_integer(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  GRAFT_CHECK(found != object.end(), "the field '", name, "' is missing");
  GRAFT_CHECK(found->is_number_integer(), "the field '", name, "' is not a whole number");
  GRAFT_CHECK(!found->is_number_unsigned() || found->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX), "the field '", name, "' is too large");
  return found->get<int64_t>();
}

}  // namespace graft::io
