// The inner loops of resizing, compiled once per instruction set. Integers only: every set gives
// the same bits.
#pragma once
#include <cstdint>

namespace graft::io {

constexpr int kResampleBits = 32 - 8 - 2;  // of a weight's fraction: Pillow's

// Each kind of output row or column has the same number of weights; they sum to 1 << kResampleBits.
struct ResampleTable {
  // out[x][c] = sum over k of in[first[x] + k][c] * weights[x][k], rounded and clipped, for x in
  // [0, width). `in` has in_width pixels; first[] does not fall. Writes up to 4 bytes behind the
  // row.
  void (*across_grey)(const uint8_t* in, int64_t in_width, const int32_t* first,
                      const int32_t* weights, int64_t taps, int64_t width, uint8_t* out);
  void (*across_rgb)(const uint8_t* in, int64_t in_width, const int32_t* first,
                     const int32_t* weights, int64_t taps, int64_t width, uint8_t* out);
  // out[i] = sum over k of rows[k][i] * weights[k], rounded and clipped, for i in [0, bytes).
  void (*down)(const uint8_t* const* rows, const int32_t* weights, int64_t taps, int64_t bytes,
               uint8_t* out);
};

extern constinit const ResampleTable resample_portable;
#if defined(__x86_64__)
extern constinit const ResampleTable resample_avx2;
extern constinit const ResampleTable resample_avx512;
#endif

}  // namespace graft::io
