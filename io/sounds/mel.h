// The mel scale's bands, and the cosine transform of their logarithms.
#pragma once
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// Of a frequency in Hz. htk: 2595 log10(1 + f/700). slaney: linear to 1000 Hz, logarithmic above
// (M. Slaney, Auditory Toolbox, 1998).
GRAFT_API double mel_of(double hertz, bool htk);
GRAFT_API double hertz_of(double mel, bool htk);

// A triangle: weights of the frequencies first, first + 1, ... of a spectrum.
struct MelBand {
  int64_t first = 0;
  std::vector<double> weights{};
};

// `count` triangles evenly spaced on the scale between `low` and `high` Hz, over fft/2 + 1
// frequencies; each divided by half its width in Hz where `by_width` (librosa.filters.mel). A band
// between two frequencies may be empty.
GRAFT_API std::vector<MelBand> mel_bands(int64_t rate, int64_t fft, int64_t count, double low,
                                         double high, bool htk, bool by_width);

// Rows k of the orthonormal DCT-II: scale(k) cos(pi k (2 n + 1) / (2 n_max)), [rows, columns].
GRAFT_API std::vector<double> cosine_rows(int64_t rows, int64_t columns);

}  // namespace graft::io
