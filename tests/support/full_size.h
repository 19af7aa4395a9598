// full_size(): whether a test runs its largest cases. Under sanitizers they wait for
// tools/nightly.sh, which sets GRAFT_TEST_FULL; every other build has them (docs/testing.md).
#pragma once
#include <cstdlib>

namespace graft::test {

inline bool full_size() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return std::getenv("GRAFT_TEST_FULL") != nullptr;
#else
  return true;
#endif
}

}  // namespace graft::test
