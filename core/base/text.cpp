#include "graft/core/base/text.h"

#include <charconv>

namespace graft::detail {

void append_double(std::string& out, double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

}  // namespace graft::detail
