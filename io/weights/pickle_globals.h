// Lookup in the list of global names that mean data.
#pragma once
#include "graft/io/weights/pickle.h"

namespace graft::io {

// For pickle_global(); kForeignGlobal for a name that is not on the list. bad_input for tensors of
// a kind that graft does not have.
int64_t find_pickle_global(std::string_view module, std::string_view name);
// "module.name", short and without bytes that a terminal would act on.
std::string printable_global(std::string_view module, std::string_view name);

}  // namespace graft::io
