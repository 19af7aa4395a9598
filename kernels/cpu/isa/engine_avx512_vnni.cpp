// The engine's 8-bit kernels for AVX-512 with VNNI: vpdpbusd adds four products of u8 and i8 to an
// i32, without saturation.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {
namespace {

constexpr int vnni_rows = 12, vnni_vectors = 2, vnni_columns = 32;

inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

inline __m128i quantized_lanes(__m512 value, float inverse, int32_t zero) {
  value = _mm512_mul_ps(value, _mm512_set1_ps(inverse));
  value =
      _mm512_max_ps(value, _mm512_set1_ps(static_cast<float>(-zero)));  // NaN becomes the lowest
  value = _mm512_min_ps(value, _mm512_set1_ps(static_cast<float>(255 - zero)));
  return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(zero)));
}

// Sixteen columns of a row, from `column` of the whole image's on.
inline void finish_lanes(const TileArgs<U8>& args, __m512i sum, int64_t column, int64_t at,
                         int64_t count) {
  const QuantizedFinish& f = *args.finish;
  const __mmask16 mask = first_lanes(count);
  sum = _mm512_sub_epi32(sum, _mm512_loadu_si512(f.correction + column));
  __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(f.multiplier + column));
  value = _mm512_add_ps(value, _mm512_loadu_ps(f.bias + column));
  if (f.residual && f.residual_is_u8) {
    const __m128i bytes = _mm_maskz_loadu_epi8(mask, static_cast<const U8*>(f.residual) + at);
    const __m512 steps = _mm512_cvtepi32_ps(
        _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(f.residual_zero)));
    value = _mm512_add_ps(value, _mm512_mul_ps(steps, _mm512_set1_ps(f.residual_scale)));
  } else if (f.residual) {
    value = _mm512_add_ps(value,
                          _mm512_maskz_loadu_ps(mask, static_cast<const float*>(f.residual) + at));
  }
  if (f.activation != Activation::none)
    value = _mm512_max_ps(_mm512_setzero_ps(), value);  // NaN stays
  if (f.activation == Activation::relu6) value = _mm512_min_ps(_mm512_set1_ps(6), value);
  if (f.out_is_u8) {
    const __m128i bytes = quantized_lanes(value, f.out_inverse, f.out_zero);
    if (mask == 0xffff)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(static_cast<U8*>(f.out) + at), bytes);
    else
      _mm_mask_storeu_epi8(static_cast<U8*>(f.out) + at, mask, bytes);
  } else {
    _mm512_mask_storeu_ps(static_cast<float*>(f.out) + at, mask, value);
  }
}

template <int Rows>
void vnni_tile(const TileArgs<U8>& args) {
  __m512i sums[Rows][vnni_vectors];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vnni_vectors; ++v) sums[r][v] = _mm512_setzero_si512();
  for (int64_t s = 0; s < args.segments; ++s) {
    const U8* row[Rows];
    for (int r = 0; r < Rows; ++r) row[r] = args.rows[s * args.rows_stride + r];
    const int8_t* b = args.b + s * args.b_segment;
    for (int64_t k = 0; k < args.length; k += 4, b += 4 * vnni_columns) {
      const __m512i w0 = _mm512_loadu_si512(b), w1 = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        int four;
        __builtin_memcpy(&four, row[r] + k, 4);
        const __m512i x = _mm512_set1_epi32(four);
        sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], x, w0);
        sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], x, w1);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vnni_vectors; ++v)
      if (v * 16 < args.columns)
        finish_lanes(args, sums[r][v], args.column + v * 16,
                     args.out_offsets[r] + args.column + v * 16, args.columns - v * 16);
}

void vnni_quantize(const float* x, int64_t count, float inverse, int32_t zero, U8* y) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first_lanes(count - i);
    _mm_mask_storeu_epi8(y + i, mask,
                         quantized_lanes(_mm512_maskz_loadu_ps(mask, x + i), inverse, zero));
  }
}

template <int Rows>
constexpr void add_vnni_tiles(KernelTable<U8>& table) {
  table.tile[Rows] = vnni_tile<Rows>;
  if constexpr (Rows > 1) add_vnni_tiles<Rows - 1>(table);
}

constexpr KernelTable<U8> vnni_table() {
  KernelTable<U8> table{};
  table.name = "avx512_vnni";
  table.mr = vnni_rows;
  table.nr = vnni_columns;
  table.k_step = 4;
  add_vnni_tiles<vnni_rows>(table);
  table.quantize = vnni_quantize;
  return table;
}

}  // namespace

constinit const KernelTable<U8> avx512_vnni_u8 = vnni_table();

}  // namespace graft::cpu
