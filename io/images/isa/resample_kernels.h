// Bodies of the resizing loops, in the compiler's own vectors. Included by one unit per instruction
// set and by nothing else; everything here is local to its unit, so that no unit's code stands in
// for another's.
#pragma once
#include "graft/io/images/isa/resample_table.h"

namespace graft::io {
namespace {

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef int32_t Ints4 __attribute__((vector_size(16)));

constexpr int32_t kHalf = 1 << (kResampleBits - 1);

inline __attribute__((always_inline)) uint8_t clipped(int32_t sum) {
  sum >>= kResampleBits;
  return static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

#ifdef __SSE4_1__  // below it the shuffles cost more than they save
// One pixel's three channels; the fourth byte is read unless the pixel is the row's last.
template <bool is_last>
inline __attribute__((always_inline)) Ints4 rgb_pixel(const uint8_t* at) {
  Bytes16 bytes{};
  __builtin_memcpy(&bytes, at, is_last ? 3 : 4);
  return reinterpret_cast<Ints4>(__builtin_shufflevector(bytes, Bytes16{}, 0, 16, 16, 16, 1, 16, 16,
                                                         16, 2, 16, 16, 16, 3, 16, 16, 16));
}

template <int T, bool is_last>
inline __attribute__((always_inline)) void rgb_output(const uint8_t* from, const int32_t* weight,
                                                      int64_t taps, uint8_t* out) {
  Ints4 sums = Ints4{} + kHalf;
  const int64_t count = T ? T : taps;
  for (int64_t k = 0; k < count - 1; ++k) sums += rgb_pixel<false>(from + 3 * k) * weight[k];
  sums += rgb_pixel<is_last>(from + 3 * (count - 1)) * weight[count - 1];
  sums >>= kResampleBits;
  sums = sums < 0 ? Ints4{} : sums;
  sums = sums > 255 ? Ints4{} + 255 : sums;
  const Bytes16 bytes = reinterpret_cast<Bytes16>(sums);
  const Bytes16 packed =
      __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  __builtin_memcpy(out, &packed,
                   4);  // the fourth byte belongs to the next pixel, which is written later
}

#else
template <int T, bool>
inline __attribute__((always_inline)) void rgb_output(const uint8_t* from, const int32_t* weight,
                                                      int64_t taps, uint8_t* out) {
  int32_t red = kHalf, green = kHalf, blue = kHalf;
  const int64_t count = T ? T : taps;
  for (int64_t k = 0; k < count; ++k) {
    red += from[3 * k] * weight[k];
    green += from[3 * k + 1] * weight[k];
    blue += from[3 * k + 2] * weight[k];
  }
  out[0] = clipped(red);
  out[1] = clipped(green);
  out[2] = clipped(blue);
}
#endif

template <int T>
void across_rgb_of(const uint8_t* in, int64_t in_width, const int32_t* first,
                   const int32_t* weights, int64_t taps, int64_t width, uint8_t* out) {
  int64_t x = 0;
  for (; x < width && first[x] + taps < in_width; ++x)
    rgb_output<T, false>(in + 3 * int64_t{first[x]}, weights + x * taps, taps, out + 3 * x);
  for (; x < width; ++x)
    rgb_output<T, true>(in + 3 * int64_t{first[x]}, weights + x * taps, taps, out + 3 * x);
}

void across_rgb(const uint8_t* in, int64_t in_width, const int32_t* first, const int32_t* weights,
                int64_t taps, int64_t width, uint8_t* out) {
  const auto run = taps == 2   ? across_rgb_of<2>
                   : taps == 3 ? across_rgb_of<3>
                   : taps == 4 ? across_rgb_of<4>
                   : taps == 5 ? across_rgb_of<5>
                               : across_rgb_of<0>;
  run(in, in_width, first, weights, taps, width, out);
}

void across_grey(const uint8_t* in, int64_t, const int32_t* first, const int32_t* weights,
                 int64_t taps, int64_t width, uint8_t* out) {
  for (int64_t x = 0; x < width; ++x) {
    int32_t sum = kHalf;
    for (int64_t k = 0; k < taps; ++k) sum += in[first[x] + k] * weights[x * taps + k];
    out[x] = clipped(sum);
  }
}

// A fixed number of rows: one pass with the sums in registers.
template <int T>
void down_of(const uint8_t* const* rows, const int32_t* weights, int64_t, int64_t bytes,
             uint8_t* __restrict out) {
  for (int64_t i = 0; i < bytes; ++i) {
    int32_t sum = kHalf;
    for (int k = 0; k < T; ++k) sum += rows[k][i] * weights[k];
    out[i] = clipped(sum);
  }
}

// Any number: in pieces whose sums stay in the first cache.
void down_any(const uint8_t* const* rows, const int32_t* weights, int64_t taps, int64_t bytes,
              uint8_t* __restrict out) {
  constexpr int64_t piece = 512;
  int32_t sums[piece];
  for (int64_t i = 0; i < bytes; i += piece) {
    const int64_t count = bytes - i < piece ? bytes - i : piece;
    for (int64_t j = 0; j < count; ++j) sums[j] = kHalf;
    int64_t k = 0;
    for (; k + 4 <= taps; k += 4) {
      const uint8_t *a = rows[k] + i, *b = rows[k + 1] + i, *c = rows[k + 2] + i,
                    *d = rows[k + 3] + i;
      const int32_t wa = weights[k], wb = weights[k + 1], wc = weights[k + 2], wd = weights[k + 3];
      for (int64_t j = 0; j < count; ++j) sums[j] += a[j] * wa + b[j] * wb + c[j] * wc + d[j] * wd;
    }
    for (; k < taps; ++k)
      for (int64_t j = 0; j < count; ++j) sums[j] += rows[k][i + j] * weights[k];
    for (int64_t j = 0; j < count; ++j) out[i + j] = clipped(sums[j]);
  }
}

void down(const uint8_t* const* rows, const int32_t* weights, int64_t taps, int64_t bytes,
          uint8_t* out) {
  const auto run = taps == 2   ? down_of<2>
                   : taps == 3 ? down_of<3>
                   : taps == 4 ? down_of<4>
                   : taps == 5 ? down_of<5>
                               : down_any;
  run(rows, weights, taps, bytes, out);
}

}  // namespace
}  // namespace graft::io
