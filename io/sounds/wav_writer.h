// A sound as the bytes of a WAV file, one channel of 32-bit floats.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// decode_wav() gives the same samples. rate: samples a second.
GRAFT_API std::vector<std::byte> encode_wav(std::span<const float> samples, int64_t rate);

}  // namespace graft::io
