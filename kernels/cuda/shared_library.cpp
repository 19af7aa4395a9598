#include "graft/kernels/cuda/shared_library.h"

#include <dlfcn.h>

#include "graft/core/base/text.h"

namespace graft {

void* open_shared_library(const std::string& name, std::string& why) {
  if (name.empty() || (name.front() != '/' && name.find('/') != std::string::npos)) {
    why = str("'", name, "' is relative to the current folder; give an absolute path or a name");
    return nullptr;
  }
  void* const opened = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!opened) why = ::dlerror();
  return opened;
}

}  // namespace graft
