// The engine's bfloat16 kernels for AVX-512 with BF16: products of pairs, sums in float.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#include <immintrin.h>

#include "graft/kernels/cpu/isa/channel_kernels.h"
#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {
namespace {

constexpr int rows_of_tile = 12, vectors_of_tile = 2, columns_of_tile = 32;

inline __m512 widen(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
inline __mmask16 lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

inline __m512 activated(__m512 v, Activation activation) {
  if (activation == Activation::none) return v;
  v = _mm512_max_ps(_mm512_setzero_ps(), v);  // the second operand is what a NaN leaves
  return activation == Activation::relu6 ? _mm512_min_ps(_mm512_set1_ps(6), v) : v;
}

inline __m256i load16(const Bf16* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline void store16(Bf16* p, __m512 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}

// Masked stores are slow on some processors: whole registers are stored as such.
template <bool Whole>
inline void store_row(const TileArgs<Bf16>& args, int64_t offset, int vector, __m512 sum) {
  const int64_t column = vector * 16;
  const __mmask16 mask = Whole ? static_cast<__mmask16>(0xffff) : lanes(args.columns - column);
  if (args.bias) sum = _mm512_add_ps(sum, _mm512_loadu_ps(args.bias + column));
  if (args.residual) {
    const Bf16* residual = args.residual + offset + column;
    sum = _mm512_add_ps(sum,
                        widen(Whole ? load16(residual) : _mm256_maskz_loadu_epi16(mask, residual)));
  }
  sum = activated(sum, args.activation);
  if (Whole)
    store16(args.out + offset + column, sum);
  else
    _mm256_mask_storeu_epi16(args.out + offset + column, mask, (__m256i)_mm512_cvtneps_pbh(sum));
}

template <int Rows, bool Whole>
inline void store_rows(const TileArgs<Bf16>& args, const __m512 (&sums)[Rows][vectors_of_tile]) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vectors_of_tile; ++v)
      store_row<Whole>(args, args.out_offsets[r], v, sums[r][v]);
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
    for (int64_t first = 0; first < pairs; first += 16) {  // a line of each row
      if (args.rows_ahead)
        for (int r = 0; r < Rows; ++r)
          __builtin_prefetch(args.rows_ahead[r] + args.row_offset + 2 * first, 0, 3);
      const int64_t last = first + 16 < pairs ? first + 16 : pairs;
      for (int64_t k = first; k < last; ++k, b += 2 * columns_of_tile) {
        const __m512bh w0 = (__m512bh)_mm512_loadu_si512(b),
                       w1 = (__m512bh)_mm512_loadu_si512(b + columns_of_tile);
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
  }
  if (args.columns == columns_of_tile)
    store_rows<Rows, true>(args, sums);
  else
    store_rows<Rows, false>(args, sums);
}

template <int Rows, bool Whole>
inline void outer_rows(const OuterArgs<Bf16>& args) {
  __m512 sums[Rows][vectors_of_tile];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vectors_of_tile; ++v) {
      const float* from = args.out + r * args.out_stride + v * 16;
      if (!args.accumulate)
        sums[r][v] = _mm512_setzero_ps();
      else
        sums[r][v] = Whole ? _mm512_loadu_ps(from)
                           : _mm512_maskz_loadu_ps(lanes(args.columns - v * 16), from);
    }
  const Bf16 *a = args.a, *b = args.b;
  const char* ahead = args.ahead;
  for (int64_t k = 0; k < args.length;
       ++k, a += args.a_stride, b += args.b_stride, ahead += args.ahead_stride) {
    __builtin_prefetch(ahead, 0, 2);
    const __m512bh w0 = (__m512bh)_mm512_loadu_si512(b),
                   w1 = (__m512bh)_mm512_loadu_si512(b + columns_of_tile);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      int pair;
      __builtin_memcpy(&pair, a + 2 * r, 4);
      const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, w0);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, w1);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < vectors_of_tile; ++v) {
      float* to = args.out + r * args.out_stride + v * 16;
      if (Whole)
        _mm512_storeu_ps(to, sums[r][v]);
      else
        _mm512_mask_storeu_ps(to, lanes(args.columns - v * 16), sums[r][v]);
    }
}

template <int Rows>
void outer(const OuterArgs<Bf16>& args) {
  if (args.columns == columns_of_tile)
    outer_rows<Rows, true>(args);
  else
    outer_rows<Rows, false>(args);
}

// Sixteen channels of two pixels as pairs.
inline __m512i pairs_of(__m256i first, __m256i second) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(first),
                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}
inline __m256i load_some(const Bf16* p, int64_t count) {
  return count >= 16 ? load16(p) : _mm256_maskz_loadu_epi16(lanes(count), p);
}

// Of a tile's sixteen pairs, those beyond its rows are overwritten by the next pixels' or lie in
// the gap between tiles.
void pack_tiles(const Bf16* in, int64_t in_stride, int64_t pixels, int64_t channels, Bf16* out,
                int64_t tile_stride) {
  static_assert(2 * (16 - rows_of_tile) <= tile_gap);
  for (int64_t p = 0; p < pixels; p += 2) {
    const Bf16* from = in + p * in_stride;
    Bf16* to = out + p * rows_of_tile;
    for (int64_t c = 0; c < channels; c += rows_of_tile, to += tile_stride) {
      const int64_t count = channels - c;
      const __m256i second =
          p + 1 < pixels ? load_some(from + in_stride + c, count) : _mm256_setzero_si256();
      _mm512_storeu_si512(to, pairs_of(load_some(from + c, count), second));
    }
  }
}

void pack_rows(const Bf16* const* rows, int64_t pixels, int64_t columns, Bf16* out) {
  for (int64_t p = 0; p < pixels; p += 2, out += 2 * columns_of_tile)
    for (int v = 0; v < vectors_of_tile; ++v) {
      const int64_t count = columns - v * 16;
      const __m256i second =
          p + 1 < pixels ? load_some(rows[p + 1] + v * 16, count) : _mm256_setzero_si256();
      _mm512_storeu_si512(out + v * 32, pairs_of(load_some(rows[p] + v * 16, count), second));
    }
}

void add_rows(const Bf16* in, int64_t in_stride, int64_t pixels, int64_t channels, float* sums) {
  for (int64_t p = 0; p < pixels; ++p)
    for_lanes<Bf16>(channels, [&](int64_t c, auto lane) {
      using L = decltype(lane);
      L::store(sums + c, L::load(sums + c) + L::load(in + p * in_stride + c));
    });
}

// [length][32] floats to [length / 2, rounded up][32][2].
void pack_pairs(const float* in, int64_t length, Bf16* out) {
  for (int64_t k = 0; k < length; k += 2, out += 2 * columns_of_tile)
    for (int v = 0; v < vectors_of_tile; ++v) {
      const float* from = in + k * columns_of_tile + v * 16;
      const __m512i first =
          _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from)));
      __m512i second = _mm512_setzero_si512();
      if (k + 1 < length)
        second = _mm512_cvtepu16_epi32(
            (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + columns_of_tile)));
      _mm512_storeu_si512(out + v * 32, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
}

template <int Rows>
constexpr void add_bf16_tiles(KernelTable<Bf16>& table) {
  table.tile[Rows] = tile<Rows>;
  table.outer[Rows] = outer<Rows>;
  if constexpr (Rows > 1) add_bf16_tiles<Rows - 1>(table);
}

constexpr KernelTable<Bf16> bf16_table() {
  KernelTable<Bf16> table{};
  table.name = "avx512_bf16";
  table.mr = rows_of_tile;
  table.nr = columns_of_tile;
  table.k_step = 2;
  table.floats = &avx512_f32;
  table.channels = channel_kernels<Bf16>();
  add_bf16_tiles<rows_of_tile>(table);
  table.pack_tiles = pack_tiles;
  table.pack_rows = pack_rows;
  table.add_rows = add_rows;
  table.pack_pairs = pack_pairs;
  return table;
}

}  // namespace

constinit const KernelTable<Bf16> avx512_bf16 = bf16_table();

}  // namespace graft::cpu
