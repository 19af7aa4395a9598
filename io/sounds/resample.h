// A sound at another rate: windowed-sinc interpolation.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// Samples that `count` at rate `from` have at rate `to`: count * to / from, rounded up.
GRAFT_API int64_t resampled_count(int64_t count, int64_t from, int64_t to);

// Samples [begin, begin + count) of the sound at rate `to`, of those that there are; silence beyond
// either end. A sinc of 6 zero crossings under a squared cosine, cut off at 0.99 of the lower
// rate's half: torchaudio.functional.resample with its defaults. Equal rates copy.
GRAFT_API std::vector<float> resampled(std::span<const float> samples, int64_t from, int64_t to,
                                       int64_t begin, int64_t count);

}  // namespace graft::io
