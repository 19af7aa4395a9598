// Lookup in the allow-list of global names that a pickle may mention.
#pragma once
#include "graft/io/weights/pickle.h"

namespace graft::io {

// For pickle_global(); bad_input "contains code: module.name" for a name that is not on the list.
int64_t find_pickle_global(std::string_view module, std::string_view name);

}  // namespace graft::io
