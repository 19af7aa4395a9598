// Opens a library that is looked for when it is first wanted (cuDNN, cuBLASLt), never from the
// current folder.
#pragma once
#include <string>

namespace graft {

// `name` is a plain name, which the loader looks for in its own folders, or an absolute path. Null,
// and `why` says the reason, when it cannot be opened or is a path relative to the current folder.
void* open_shared_library(const std::string& name, std::string& why);

}  // namespace graft
