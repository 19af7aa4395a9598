// The 8-bit tiles of instruction sets without vpdpbusd: plain loops, or products of pairs widened
// to 16 bits with AVX2 (so that nothing saturates). Included by those units only; everything has
// internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace graft::cpu {
namespace {

constexpr int quantized_rows = 4, quantized_columns = 8;

#if defined(__AVX2__)
template <int Rows>
inline void quantized_sums(const TileArgs<U8>& args, int32_t (&sums)[Rows][quantized_columns]) {
  __m256i parts[Rows][2];  // of columns 0-3 and 4-7: two partial sums each
  for (int r = 0; r < Rows; ++r) parts[r][0] = parts[r][1] = _mm256_setzero_si256();
  for (int64_t s = 0; s < args.segments; ++s) {
    const U8* const* rows = args.rows + s * args.rows_stride;
    const int8_t* b = args.b + s * args.b_segment;
    for (int64_t k = 0; k < args.length; k += 4, b += 4 * quantized_columns) {
      const __m256i low =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
      const __m256i high =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + 16)));
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        int four;
        __builtin_memcpy(&four, rows[r] + k, 4);
        const __m256i x = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
        parts[r][0] = _mm256_add_epi32(parts[r][0], _mm256_madd_epi16(x, low));
        parts[r][1] = _mm256_add_epi32(parts[r][1], _mm256_madd_epi16(x, high));
      }
    }
  }
  for (int r = 0; r < Rows; ++r)  // 0 1 4 5 2 3 6 7 -> 0 .. 7
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(sums[r]),
        _mm256_permute4x64_epi64(_mm256_hadd_epi32(parts[r][0], parts[r][1]), 0xd8));
}
#else
template <int Rows>
inline void quantized_sums(const TileArgs<U8>& args, int32_t (&sums)[Rows][quantized_columns]) {
  for (int r = 0; r < Rows; ++r)
    for (int j = 0; j < quantized_columns; ++j) sums[r][j] = 0;
  for (int64_t s = 0; s < args.segments; ++s) {
    const int8_t* b = args.b + s * args.b_segment;
    for (int64_t k = 0; k < args.length; ++k)
      for (int r = 0; r < Rows; ++r) {
        const auto x = static_cast<int32_t>(args.rows[s * args.rows_stride + r][k]);
        const int8_t* w = b + k / 4 * 4 * quantized_columns + k % 4;
        for (int j = 0; j < quantized_columns; ++j) sums[r][j] += x * w[4 * j];
      }
  }
}
#endif

inline int32_t quantized_element(float value, float inverse, int32_t zero) {
  const float low = static_cast<float>(-zero), high = static_cast<float>(255 - zero);
  float steps = value * inverse;
  steps = steps > low ? steps : low;  // NaN becomes the lowest
  steps = steps < high ? steps : high;
  return static_cast<int32_t>(__builtin_nearbyintf(steps)) + zero;
}

inline float finished_element(const QuantizedFinish& f, int32_t sum, int64_t column, int64_t at) {
  float value = static_cast<float>(sum - f.correction[column]) * f.multiplier[column];
  value += f.bias[column];
  if (f.residual && f.residual_is_u8)
    value += static_cast<float>(static_cast<int32_t>(static_cast<const U8*>(f.residual)[at]) -
                                f.residual_zero) *
             f.residual_scale;
  else if (f.residual)
    value += static_cast<const float*>(f.residual)[at];
  if (f.activation == Activation::none) return value;
  value = value < 0 ? 0 : value;
  return f.activation == Activation::relu6 && value > 6 ? 6 : value;
}

template <int Rows>
void quantized_tile(const TileArgs<U8>& args) {
  int32_t sums[Rows][quantized_columns];
  quantized_sums<Rows>(args, sums);
  const QuantizedFinish& f = *args.finish;
  for (int r = 0; r < Rows; ++r) {
    const int64_t at = args.out_offsets[r] + args.column;
    for (int64_t j = 0; j < args.columns; ++j) {
      const float value = finished_element(f, sums[r][j], args.column + j, at + j);
      if (f.out_is_u8)
        static_cast<U8*>(f.out)[at + j] =
            static_cast<U8>(quantized_element(value, f.out_inverse, f.out_zero));
      else
        static_cast<float*>(f.out)[at + j] = value;
    }
  }
}

void quantize_elements(const float* x, int64_t count, float inverse, int32_t zero, U8* y) {
  for (int64_t i = 0; i < count; ++i)
    y[i] = static_cast<U8>(quantized_element(x[i], inverse, zero));
}

template <int Rows>
constexpr void add_quantized_tiles(KernelTable<U8>& table) {
  table.tile[Rows] = quantized_tile<Rows>;
  if constexpr (Rows > 1) add_quantized_tiles<Rows - 1>(table);
}

constexpr KernelTable<U8> quantized_table(const char* name) {
  KernelTable<U8> table{};
  table.name = name;
  table.mr = quantized_rows;
  table.nr = quantized_columns;
  table.k_step = 4;
  add_quantized_tiles<quantized_rows>(table);
  table.quantize = quantize_elements;
  return table;
}

}  // namespace
}  // namespace graft::cpu
