// The environment switches, read in one place: GRAFT_LOG, GRAFT_ISA, GRAFT_WINOGRAD, GRAFT_THREADS,
// and those of the CUDA backend (docs/cuda.md).
#pragma once
#include <string>

namespace graft {

// The value of an environment variable, or "" when unset.
std::string environment(const char* name);

}  // namespace graft
