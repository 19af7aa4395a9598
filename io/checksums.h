// Whether readers insist on checksums.
#pragma once

namespace graft::io {

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
inline constexpr bool verifies_checksums = false;  // a fuzzer would never get past one
#else
inline constexpr bool verifies_checksums = true;
#endif

}  // namespace graft::io
