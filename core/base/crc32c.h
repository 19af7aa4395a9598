// CRC-32C: the checksum of checkpoints, model files and caches. Finds damage, not intent.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "graft/core/base/export.h"

namespace graft {

// The CRC-32C (Castagnoli, RFC 3720 B.4) of what `sum` is the checksum of, followed by `bytes`.
// Every damage within 32 bits is found, any other but for one in four billion. With the
// processor's instruction where it has one (x86-64's SSE 4.2).
GRAFT_API uint32_t crc32c(std::span<const std::byte> bytes, uint32_t sum = 0);
// The same without the instruction.
GRAFT_API uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t sum = 0);

}  // namespace graft
