// The engine's bfloat16 kernels for AVX-512 with BF16: products of pairs, sums in float.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#include <immintrin.h>

#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {
namespace {

constexpr int rows_of_tile = 12, vectors_of_tile = 2, columns_of_tile = 32;

inline __m512 widen(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }
inline __mmask16 lanes(int64_t count) { return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1); }

inline __m512 activated(__m512 v, Activation activation) {
  if (activation == Activation::none) return v;
  v = _mm512_max_ps(_mm512_setzero_ps(), v);  // the second operand is what a NaN leaves
  return activation == Activation::relu6 ? _mm512_min_ps(_mm512_set1_ps(6), v) : v;
}

inline __m256i load16(const Bf16* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store16(Bf16* p, __m512 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v)); }

// Masked stores are slow on some processors: whole registers are stored as such.
template <bool Whole>
inline void store_row(const TileArgs<Bf16>& args, int64_t offset, int vector, __m512 sum) {
  const int64_t column = vector * 16;
  const __mmask16 mask = Whole ? static_cast<__mmask16>(0xffff) : lanes(args.columns - column);
  if (args.bias) sum = _mm512_add_ps(sum, _mm512_loadu_ps(args.bias + column));
  if (args.residual) {
    const Bf16* residual = args.residual + offset + column;
    sum = _mm512_add_ps(sum, widen(Whole ? load16(residual) : _mm256_maskz_loadu_epi16(mask, residual)));
  }
  sum = activated(sum, args.activation);
  if (Whole) store16(args.out + offset + column, sum);
  else _mm256_mask_storeu_epi16(args.out + offset + column, mask, (__m256i)_mm512_cvtneps_pbh(sum));
}

template <int Rows, bool Whole>
inline void store_rows(const TileArgs<Bf16>& args, const __m512 (&sums)[Rows][vectors_of_tile]) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vectors_of_tile; ++v) store_row<Whole>(args, args.out_offsets[r], v, sums[r][v]);
}

template <int Rows>
void tile(const TileArgs<Bf16>& args) {
  __m512 sums[Rows][vectors_of_tile];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vectors_of_tile; ++v) sums[r][v] = _mm512_setzero_ps();
  const int64_t pairs = (args.length + 1) / 2;
  for (int64_t s = 0; s < args.segments; ++s) {
    const Bf16* row[Rows];
    for (int r = 0; r < Rows; ++r) row[r] = args.rows[s * args.rows_stride + r] + args.row_offset;
    const Bf16* b = args.b + s * args.b_segment;
    for (int64_t k = 0; k < pairs; ++k, b += 2 * columns_of_tile) {
      const __m512bh w0 = (__m512bh)_mm512_loadu_si512(b), w1 = (__m512bh)_mm512_loadu_si512(b + columns_of_tile);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        int pair;
        __builtin_memcpy(&pair, row[r] + 2 * k, 4);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, w0);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, w1);
      }
    }
  }
  if (args.columns == columns_of_tile) store_rows<Rows, true>(args, sums);
  else store_rows<Rows, false>(args, sums);
}

// [length][32] floats to [length / 2, rounded up][32][2].
void pack_pairs(const float* in, int64_t length, Bf16* out) {
  for (int64_t k = 0; k < length; k += 2, out += 2 * columns_of_tile)
    for (int v = 0; v < vectors_of_tile; ++v) {
      const float* from = in + k * columns_of_tile + v * 16;
      const __m512i first = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from)));
      __m512i second = _mm512_setzero_si512();
      if (k + 1 < length) second = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + columns_of_tile)));
      _mm512_storeu_si512(out + v * 32, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
}

// The widest value of each channel; a NaN wins.
void max_rows(const Bf16* const* rows, int64_t count, int64_t channels, Bf16* y) {
  for (int64_t c = 0; c < channels; c += 16) {
    const bool whole = c + 16 <= channels;
    const __mmask16 mask = lanes(channels - c);
    __m512 largest = widen(_mm256_maskz_loadu_epi16(mask, rows[0] + c));
    for (int64_t i = 1; i < count; ++i) {
      const __m512 row = widen(_mm256_maskz_loadu_epi16(mask, rows[i] + c));
      const __mmask16 larger = _mm512_cmp_ps_mask(row, largest, _CMP_GT_OQ) | _mm512_cmp_ps_mask(row, row, _CMP_UNORD_Q);
      largest = _mm512_mask_mov_ps(largest, larger, row);
    }
    if (whole) store16(y + c, largest);
    else _mm256_mask_storeu_epi16(y + c, mask, (__m256i)_mm512_cvtneps_pbh(largest));
  }
}

template <int Rows>
constexpr void add_bf16_tiles(KernelTable<Bf16>& table) {
  table.tile[Rows] = tile<Rows>;
  if constexpr (Rows > 1) add_bf16_tiles<Rows - 1>(table);
}

constexpr KernelTable<Bf16> bf16_table() {
  KernelTable<Bf16> table{};
  table.name = "avx512_bf16";
  table.mr = rows_of_tile;
  table.nr = columns_of_tile;
  table.k_step = 2;
  table.floats = &avx512_f32;
  add_bf16_tiles<rows_of_tile>(table);
  table.pack_pairs = pack_pairs;
  table.max_rows = max_rows;
  return table;
}

}  // namespace

constinit const KernelTable<Bf16> avx512_bf16 = bf16_table();

}  // namespace graft::cpu
