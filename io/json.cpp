#include "graft/io/json.h"

namespace graft::io {

void check_json(std::string_view json, const std::string& what) {
  GRAFT_CHECK(json.find('\0') == std::string_view::npos, what,
              " is JSON with a zero byte in it, which JSON never has");
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

}  // namespace graft::io
