// The engine's register tiles, written once over Vector<T>. Included by the instruction sets' units
// only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/channel_kernels.h"
#include "graft/kernels/cpu/isa/optimizer_kernels.h"
#include "graft/kernels/cpu/isa/tables.h"
#include "graft/kernels/cpu/isa/vector.h"
#include "graft/kernels/cpu/isa/winograd_gradient_kernels.h"
#include "graft/kernels/cpu/isa/winograd_kernels.h"

namespace graft::cpu {
namespace {

// The tile's size: as many accumulators as the register file holds beside `vectors` of b and one of
// a.
#if defined(__AVX512F__)
constexpr int tile_rows = 12, tile_vectors = 2;
#elif defined(__AVX2__)
constexpr int tile_rows = 6, tile_vectors = 2;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

template <class T>
constexpr int tile_columns = tile_vectors* Vector<T>::lanes;

template <class T>
using Register = typename Vector<T>::Register;

// NaN stays NaN.
template <class T>
inline __attribute__((always_inline)) Register<T> activated(Register<T> v, Activation activation) {
  const Register<T> zero{};
  if (activation == Activation::none) return v;
  v = Vector<T>::at_least(v, zero);
  return activation == Activation::relu6 ? Vector<T>::at_most(v, zero + T(6)) : v;
}

template <class T>
inline void load_columns(const T* from, int64_t columns, Register<T> (&to)[tile_vectors]) {
  if (columns == tile_columns<T>) {
    for (int v = 0; v < tile_vectors; ++v) to[v] = Vector<T>::load(from + v * Vector<T>::lanes);
    return;
  }
  T part[tile_columns<T>] = {};
  for (int64_t i = 0; i < columns; ++i) part[i] = from[i];
  for (int v = 0; v < tile_vectors; ++v) to[v] = Vector<T>::load(part + v * Vector<T>::lanes);
}

template <class T>
inline void store_columns(const Register<T> (&from)[tile_vectors], int64_t columns, T* to) {
  if (columns == tile_columns<T>) {
    for (int v = 0; v < tile_vectors; ++v) Vector<T>::store(to + v * Vector<T>::lanes, from[v]);
    return;
  }
  T part[tile_columns<T>];
  for (int v = 0; v < tile_vectors; ++v) Vector<T>::store(part + v * Vector<T>::lanes, from[v]);
  for (int64_t i = 0; i < columns; ++i) to[i] = part[i];
}

template <class T>
inline void finish_row(const TileArgs<T>& args, int64_t offset, Register<T> (&sums)[tile_vectors]) {
  if (args.bias)
    for (int v = 0; v < tile_vectors; ++v)
      sums[v] += Vector<T>::load(args.bias + v * Vector<T>::lanes);
  if (args.residual) {
    Register<T> residual[tile_vectors];
    load_columns<T>(args.residual + offset, args.columns, residual);
    for (int v = 0; v < tile_vectors; ++v) sums[v] += residual[v];
  }
  for (int v = 0; v < tile_vectors; ++v) sums[v] = activated<T>(sums[v], args.activation);
}

// repeat() for all registers of a tile: f(row, vector).
template <int Rows, class F>
inline __attribute__((always_inline)) void for_tile(F&& f) {
  repeat<Rows * tile_vectors>([&](auto i) __attribute__((always_inline)) {
    f(Constant<i.value / tile_vectors>{}, Constant<i.value % tile_vectors>{});
  });
}

// What ends a tile of whole registers, which stay where they are meanwhile: the sums of finish_row
// for all rows.
template <class T, int Rows>
inline __attribute__((always_inline)) void finish_tile(const TileArgs<T>& args,
                                                       Register<T> (&sums)[Rows][tile_vectors]) {
  using V = Vector<T>;
  if (args.finish && args.bias)
    repeat<tile_vectors>([&](auto v) __attribute__((always_inline)) {
      const Register<T> bias = V::load(args.bias + v.value * V::lanes);
      repeat<Rows>([&](auto r) __attribute__((always_inline)) { sums[r.value][v.value] += bias; });
    });
  if (args.finish && args.residual)
    for_tile<Rows>([&](auto r, auto v) __attribute__((always_inline)) {
      sums[r.value][v.value] +=
          V::load(args.residual + args.out_offsets[r.value] + v.value * V::lanes);
    });
  if (args.finish && args.activation != Activation::none)
    for_tile<Rows>([&](auto r, auto v) __attribute__((always_inline)) {
      sums[r.value][v.value] = V::at_least(sums[r.value][v.value], Register<T>{});
    });
  if (args.finish && args.activation == Activation::relu6)
    for_tile<Rows>([&](auto r, auto v) __attribute__((always_inline)) {
      sums[r.value][v.value] = V::at_most(sums[r.value][v.value], Register<T>{} + T(6));
    });
  for_tile<Rows>([&](auto r, auto v) __attribute__((always_inline)) {
    V::store(args.out + args.out_offsets[r.value] + v.value * V::lanes, sums[r.value][v.value]);
  });
}

template <class T, int Rows>
inline __attribute__((always_inline)) void multiply_tile(const TileArgs<T>& args,
                                                         Register<T> (&sums)[Rows][tile_vectors]) {
  using V = Vector<T>;
  const int64_t b_stride = args.b_stride, length = args.length;
  for (int64_t s = 0; s < args.segments; ++s) {
    const T* row[Rows];
    repeat<Rows>([&](auto r) __attribute__((always_inline)) {
      row[r.value] = args.rows[s * args.rows_stride + r.value] + args.row_offset;
    });
    const T* b = args.b + s * args.b_segment;
    constexpr int64_t line = 64 / sizeof(T);
    for (int64_t first = 0; first < length; first += line) {  // a line of each row
      if (args.rows_ahead)
        for (int r = 0; r < Rows; ++r)
          __builtin_prefetch(args.rows_ahead[r] + args.row_offset + first, 0, 3);
      const int64_t last = first + line < length ? first + line : length;
      for (int64_t k = first; k < last; ++k, b += b_stride) {
        Register<T> w[tile_vectors];
        repeat<tile_vectors>([&](auto v) __attribute__((always_inline)) {
          w[v.value] = V::load(b + v.value * V::lanes);
        });
        repeat<Rows>([&](auto r) __attribute__((always_inline)) {
          const Register<T> x = V::broadcast(row[r.value][k]);
          repeat<tile_vectors>([&](auto v) __attribute__((always_inline)) {
            sums[r.value][v.value] = V::multiply_add(x, w[v.value], sums[r.value][v.value]);
          });
        });
      }
    }
  }
}

// Of fewer columns, or behind sums that stand in memory.
template <class T, int Rows>
__attribute__((noinline)) void tile_in_part(const TileArgs<T>& args) {
  Register<T> sums[Rows][tile_vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    if (args.accumulate) {
      load_columns<T>(args.out + args.out_offsets[r], args.columns, sums[r]);
    } else {
      for (int v = 0; v < tile_vectors; ++v) sums[r][v] = Register<T>{};
    }
  }
  multiply_tile<T, Rows>(args, sums);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    if (args.finish) finish_row<T>(args, args.out_offsets[r], sums[r]);
    store_columns<T>(sums[r], args.columns, args.out + args.out_offsets[r]);
  }
}

// Apart from the common case, whose sums never leave their registers before the end: nothing there
// takes their address.
template <class T, int Rows>
void tile(const TileArgs<T>& args) {
  Register<T> sums[Rows][tile_vectors];
  if (!args.accumulate && args.columns == tile_columns<T>) {
    for_tile<Rows>([&](auto r, auto v)
                       __attribute__((always_inline)) { sums[r.value][v.value] = Register<T>{}; });
    multiply_tile<T, Rows>(args, sums);
    return finish_tile<T, Rows>(args, sums);
  }
  tile_in_part<T, Rows>(args);
}

template <class T, int Rows>
void outer(const OuterArgs<T>& args) {
  using V = Vector<T>;
  Register<T> sums[Rows][tile_vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    if (args.accumulate) {
      load_columns<T>(args.out + r * args.out_stride, args.columns, sums[r]);
    } else {
      for (int v = 0; v < tile_vectors; ++v) sums[r][v] = Register<T>{};
    }
  }
  const T *a = args.a, *b = args.b;
  const int64_t a_stride = args.a_stride, b_stride = args.b_stride;
  const char* ahead = args.ahead;
  for (int64_t k = 0; k < args.length;
       ++k, a += a_stride, b += b_stride, ahead += args.ahead_stride) {
    __builtin_prefetch(ahead, 0, 2);
    Register<T> w[tile_vectors];
    for (int v = 0; v < tile_vectors; ++v) w[v] = V::load(b + v * V::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Register<T> x = V::broadcast(a[r]);
      for (int v = 0; v < tile_vectors; ++v) sums[r][v] = V::multiply_add(x, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
    store_columns<T>(sums[r], args.columns, args.out + r * args.out_stride);
}

template <class T>
inline T lane_sum(Register<T> v) {
  T parts[Vector<T>::lanes];
  Vector<T>::store(parts, v);
  for (int half = Vector<T>::lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
  return parts[0];
}

template <class T, int Rows, int Columns>
void dot(const DotArgs<T>& args) {
  using V = Vector<T>;
  Register<T> sums[Rows][Columns];
  for (int r = 0; r < Rows; ++r)
    for (int c = 0; c < Columns; ++c) sums[r][c] = Register<T>{};
  int64_t k = 0;
  for (; k + V::lanes <= args.length; k += V::lanes) {
    Register<T> x[Rows];
    for (int r = 0; r < Rows; ++r) x[r] = V::load(args.a + r * args.a_stride + k);
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
      const Register<T> w = V::load(args.b + c * args.b_stride + k);
      for (int r = 0; r < Rows; ++r) sums[r][c] = V::multiply_add(x[r], w, sums[r][c]);
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int c = 0; c < Columns; ++c) {
      T sum = lane_sum<T>(sums[r][c]);
      for (int64_t i = k; i < args.length; ++i)
        sum = V::multiply_add(args.a[r * args.a_stride + i], args.b[c * args.b_stride + i], sum);
      args.out[r * args.out_stride + c] = args.bias ? sum + args.bias[c] : sum;
    }
}

// One pixel's mr channels are stored as whole vectors: what goes beyond is overwritten by the next
// pixel's, and after the last pixel lies in the gap between tiles.
template <class T>
void pack_tiles(const T* in, int64_t in_stride, int64_t pixels, int64_t channels, T* out,
                int64_t tile_stride) {
  using V = Vector<T>;
  constexpr int vectors = (tile_rows + V::lanes - 1) / V::lanes;
  static_assert(vectors * V::lanes - tile_rows <= tile_gap);
  for (int64_t p = 0; p < pixels; ++p) {
    const T* from = in + p * in_stride;
    int64_t c = 0;
    T* to = out + p * tile_rows;
    for (; c + vectors * V::lanes <= channels; c += tile_rows, to += tile_stride)
      for (int v = 0; v < vectors; ++v)
        V::store(to + v * V::lanes, V::load(from + c + v * V::lanes));
    for (; c < channels; c += tile_rows, to += tile_stride)
      for (int r = 0; r < tile_rows; ++r) to[r] = c + r < channels ? from[c + r] : T(0);
  }
}

template <class T>
void pack_rows(const T* const* rows, int64_t pixels, int64_t columns, T* out) {
  using V = Vector<T>;
  for (int64_t p = 0; p < pixels; ++p, out += tile_columns<T>) {
    Register<T> part[tile_vectors];
    load_columns<T>(rows[p], columns, part);
    for (int v = 0; v < tile_vectors; ++v) V::store(out + v * V::lanes, part[v]);
  }
}

template <class T>
void add_rows(const T* in, int64_t in_stride, int64_t pixels, int64_t channels, T* sums) {
  for (int64_t p = 0; p < pixels; ++p) {
    const T* from = in + p * in_stride;
    for (int64_t c = 0; c < channels; ++c) sums[c] += from[c];
  }
}

// Four rows of four floats in registers of 16 bytes.
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));
inline void transpose_four(const float* in, int64_t in_stride, float* out0, float* out1,
                           float* out2, float* out3) {
  typedef int Order __attribute__((vector_size(16)));
  const auto row = [&](int i) { return *reinterpret_cast<const FourFloats*>(in + i * in_stride); };
  const FourFloats a = row(0), b = row(1), c = row(2), d = row(3);
  const FourFloats low_ab = __builtin_shuffle(a, b, Order{0, 4, 1, 5}),
                   low_cd = __builtin_shuffle(c, d, Order{0, 4, 1, 5});
  const FourFloats high_ab = __builtin_shuffle(a, b, Order{2, 6, 3, 7}),
                   high_cd = __builtin_shuffle(c, d, Order{2, 6, 3, 7});
  *reinterpret_cast<FourFloats*>(out0) = __builtin_shuffle(low_ab, low_cd, Order{0, 1, 4, 5});
  *reinterpret_cast<FourFloats*>(out1) = __builtin_shuffle(low_ab, low_cd, Order{2, 3, 6, 7});
  *reinterpret_cast<FourFloats*>(out2) = __builtin_shuffle(high_ab, high_cd, Order{0, 1, 4, 5});
  *reinterpret_cast<FourFloats*>(out3) = __builtin_shuffle(high_ab, high_cd, Order{2, 3, 6, 7});
}

// row(c): where column c of `in` goes.
template <class T, class Row>
inline void transpose_rows(const T* in, int64_t in_stride, int64_t rows, int64_t columns,
                           Row&& row) {
  constexpr int64_t block = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += block)
    for (int64_t c0 = 0; c0 < columns; c0 += 4) {
      const int64_t r1 = r0 + block < rows ? r0 + block : rows,
                    c1 = c0 + 4 < columns ? c0 + 4 : columns;
      int64_t r = r0;
      if constexpr (sizeof(T) == 4) {
        if (c1 == c0 + 4)
          for (; r + 4 <= r1; r += 4)
            transpose_four(in + r * in_stride + c0, in_stride, row(c0) + r, row(c0 + 1) + r,
                           row(c0 + 2) + r, row(c0 + 3) + r);
      }
      for (int64_t c = c0; c < c1; ++c)
        for (int64_t i = r; i < r1; ++i) row(c)[i] = in[i * in_stride + c];
    }
}

template <class T>
void transpose(const T* in, int64_t in_stride, int64_t rows, int64_t columns, T* out,
               int64_t out_stride) {
  transpose_rows(in, in_stride, rows, columns, [&](int64_t c) { return out + c * out_stride; });
}
template <class T>
void transpose_to(const T* in, int64_t in_stride, int64_t rows, int64_t columns, T* const* out) {
  transpose_rows(in, in_stride, rows, columns, [&](int64_t c) { return out[c]; });
}

// Fills entry [Rows] of both tables, then the smaller ones.
template <class T, int Rows>
constexpr void add_tiles(KernelTable<T>& table) {
  table.tile[Rows] = tile<T, Rows>;
  table.outer[Rows] = outer<T, Rows>;
  if constexpr (Rows > 1) add_tiles<T, Rows - 1>(table);
}
template <class T, int Rows, int Columns>
constexpr void add_dots(KernelTable<T>& table) {
  table.dot[Rows][Columns] = dot<T, Rows, Columns>;
  if constexpr (Columns > 1)
    add_dots<T, Rows, Columns - 1>(table);
  else if constexpr (Rows > 1)
    add_dots<T, Rows - 1, dot_columns>(table);
}

template <class T>
constexpr KernelTable<T> kernel_table(const char* name) {
  KernelTable<T> table{};
  table.name = name;
  table.channels = channel_kernels<T>();
  table.winograd = winograd_kernels<T>();
  table.winograd_gradient = winograd_gradient_kernels<T>();
  table.optimizers = optimizer_kernels<T>();
  table.mr = tile_rows;
  table.nr = tile_columns<T>;
  table.k_step = 1;
  add_tiles<T, tile_rows>(table);
  add_dots<T, dot_rows, dot_columns>(table);
  table.pack_tiles = pack_tiles<T>;
  table.pack_rows = pack_rows<T>;
  table.add_rows = add_rows<T>;
  table.transpose_to = transpose_to<T>;
  table.transpose = transpose<T>;
  return table;
}

}  // namespace
}  // namespace graft::cpu
