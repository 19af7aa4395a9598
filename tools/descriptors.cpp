#include "graft/tools/descriptors.h"

#include <fcntl.h>

namespace graft::tools {

bool reserve_standard_descriptors() {
  for (int number = 0; number <= 2; ++number)
    if (::fcntl(number, F_GETFD) < 0 && ::open("/", O_PATH) != number) return false;
  return true;
}

}  // namespace graft::tools
