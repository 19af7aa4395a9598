#include "graft/core/base/environment.h"

#include <cstdlib>

namespace graft {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace graft
