// What every fuzz target does: one input, which may only end well or in a graft::Error that is not
// a bug of ours, in memory bounded by the input's size.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/tests/fuzz/peak_memory.h"

namespace graft::fuzz {

// The most that reading an input may hold: times * its bytes + plus.
struct MemoryBound {
  int64_t times = 0;
  int64_t plus = 0;
};

using Bytes = std::span<const std::byte>;

struct Target {
  const char* name;
  MemoryBound bound;
  void (*body)(Bytes);
};

// Throws for what a target may not do, an Error(internal) or whatever else the body threw.
inline void run_input(const Target& target, Bytes bytes) {
  const PeakMemory memory;
  try {
    target.body(bytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
  }
  const int64_t most = target.bound.times * static_cast<int64_t>(bytes.size()) + target.bound.plus;
  if (memory.bytes() > most)
    fail(ErrorCode::internal, target.name, ": ", memory.bytes(),
         " bytes of memory for an input of ", bytes.size(), ", ", most, " are allowed");
}

// The targets linked into this program (an executable's own objects, so that none is dropped).
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

}  // namespace graft::fuzz

// GRAFT_FUZZ_TARGET(name, times, plus, body), a MemoryBound and a void(Bytes): the entry point that
// libFuzzer calls; in the replay test (GRAFT_FUZZ_REPLAY), which links them all, an entry of
// targets().
#ifdef GRAFT_FUZZ_REPLAY
#define GRAFT_FUZZ_TARGET(NAME, TIMES, PLUS, ...) \
  static const bool graft_fuzz_##NAME =           \
      (graft::fuzz::targets().push_back({#NAME, {TIMES, PLUS}, __VA_ARGS__}), true);
#else
#define GRAFT_FUZZ_TARGET(NAME, TIMES, PLUS, ...)                             \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {   \
    graft::fuzz::run_input({#NAME, {TIMES, PLUS}, __VA_ARGS__},               \
                           std::as_bytes(std::span(data, size)));             \
    return 0; /* an exception ends the fuzzer's process: that is a finding */ \
  }
#endif
