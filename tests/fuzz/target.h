// What every fuzz target does: one input, which may only end well or in a graft::Error that is not a bug of ours.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <span>

#include "graft/core/base/error.h"

// Defines the entry point that libFuzzer calls. BODY sees `bytes` (std::span<const std::byte>).
#define GRAFT_FUZZ_TARGET(BODY)                                                            \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {                \
    const auto bytes = std::as_bytes(std::span(data, size));                               \
    try {                                                                                  \
      BODY                                                                                 \
    } catch (const graft::Error& error) {                                                  \
      if (error.code() == graft::ErrorCode::internal) throw; /* ends the fuzzer's process */ \
    }                                                                                      \
    return 0;                                                                              \
  }
