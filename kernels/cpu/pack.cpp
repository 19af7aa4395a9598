// Packing of weights into panels: [panel][tap][channel][nr].
#include <algorithm>

#include "graft/kernels/cpu/indirect_conv.h"

namespace graft::cpu {
namespace {

constexpr int64_t kAhead = 2;  // channels

// Asks for memory that is read soon: weights lie in strides that the processor does not foresee.
// Beyond the end it is harmless.
template <class T>
inline void prefetch(const T* from, int64_t count) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; i += line) __builtin_prefetch(from + i);
}

// Rows of the source are runs of memory (a column's channels and taps), columns of the panel: a
// transposition whose output rows lie where the panel wants them.
template <class T>
void pack_runs(const KernelTable<T>& table, const PackSource<T>& from, const T* source,
               int64_t columns, T* to) {
  constexpr int64_t most = 64;  // elements of a run at a time
  const auto taps = static_cast<int64_t>(from.tap_offsets.size());
  T* rows[most];
  const bool interleaved =
      taps > 1 && from.channel_stride != 1;  // [channel][tap] in memory, else [tap][channel]
  const int64_t runs = interleaved ? 1 : taps,
                length = interleaved ? from.channels * taps : from.channels;
  for (int64_t run = 0; run < runs; ++run)
    for (int64_t first = 0; first < length; first += most) {
      const int64_t count = std::min(most, length - first);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = interleaved ? (first + i) / taps : first + i,
                      t = interleaved ? (first + i) % taps : run;
        rows[i] = to + (t * from.channels + c) * table.nr;
      }
      for (int64_t j = 0; first + most < length && j < columns; ++j)
        prefetch(source + j * from.column_stride + from.tap_offsets[static_cast<size_t>(run)] +
                     first + most,
                 most);
      table.transpose_to(source + from.tap_offsets[static_cast<size_t>(run)] + first,
                         from.column_stride, columns, count, rows);
    }
}

// Columns and taps fill a run of memory together ([column][tap], a channel after another:
// backward-data of a filter in OIHW): a transposition a channel.
template <class T>
void pack_interleaved(const KernelTable<T>& table, const PackSource<T>& from, const T* source,
                      int64_t columns, T* to) {
  constexpr int64_t most = 64;
  const auto taps = static_cast<int64_t>(from.tap_offsets.size());
  T* rows[most];
  for (int64_t c = 0; c < from.channels; ++c) {
    prefetch(source + std::min(c + kAhead, from.channels - 1) * from.channel_stride,
             columns * taps);
    for (int64_t t = 0; t < taps; ++t) rows[t] = to + (t * from.channels + c) * table.nr;
    table.transpose_to(source + c * from.channel_stride, taps, columns, taps, rows);
  }
}
template <class T>
bool columns_interleave_taps(const PackSource<T>& from) {
  const auto taps = static_cast<int64_t>(from.tap_offsets.size());
  if (from.column_stride != taps || taps > 64) return false;
  for (int64_t t = 0; t < taps; ++t)
    if (from.tap_offsets[static_cast<size_t>(t)] != t) return false;
  return true;
}

template <class T>
bool taps_fill_runs(const PackSource<T>& from) {
  const auto taps = static_cast<int64_t>(from.tap_offsets.size());
  if (from.channel_stride != taps || taps == 0) return false;
  for (int64_t t = 0; t < taps; ++t)
    if (from.tap_offsets[static_cast<size_t>(t)] != t) return false;
  return true;
}

}  // namespace

template <class T>
void pack_panel(const KernelTable<T>& table, const PackSource<T>& from, int64_t panel, T* to) {
  const int64_t nr = table.nr, first = panel * nr, columns = std::min(nr, from.columns - first);
  const auto taps = static_cast<int64_t>(from.tap_offsets.size());
  const T* source = from.source + first * from.column_stride;
  if (columns < nr) std::fill(to, to + taps * from.channels * nr, T(0));
  if (from.column_stride == 1) {
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t c = 0; c < from.channels; ++c) {
        const T* in = source + c * from.channel_stride + from.tap_offsets[static_cast<size_t>(t)];
        prefetch(in + std::min(8 * kAhead, from.channels - 1 - c) * from.channel_stride, columns);
        std::copy(in, in + columns, to + (t * from.channels + c) * nr);
      }
    return;
  }
  if (from.channel_stride == 1 || taps_fill_runs(from)) {
    pack_runs(table, from, source, columns, to);
    return;
  }
  if (columns_interleave_taps(from)) {
    pack_interleaved(table, from, source, columns, to);
    return;
  }
  const auto place = [&](int64_t j, int64_t c) {
    const T* in = source + j * from.column_stride + c * from.channel_stride;
    T* out = to + c * nr + j;
    for (int64_t t = 0; t < taps; ++t)
      out[t * from.channels * nr] = in[from.tap_offsets[static_cast<size_t>(t)]];
  };
  // Taps are adjacent in memory: read along them, in blocks whose part of the panel stays in the
  // cache.
  if (from.column_stride < from.channel_stride) {
    for (int64_t c = 0; c < from.channels; ++c) {
      prefetch(source + std::min(c + kAhead, from.channels - 1) * from.channel_stride,
               columns * from.column_stride);
      for (int64_t j = 0; j < columns; ++j) place(j, c);
    }
    return;
  }
  const int64_t block = std::max<int64_t>(1, 256 / std::max<int64_t>(taps, 1));
  for (int64_t c0 = 0; c0 < from.channels; c0 += block)
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t c = c0; c < std::min(c0 + block, from.channels); ++c) place(j, c);
}

template <>
void pack_panel(const KernelTable<Bf16>& table, const PackSource<Bf16>& from, int64_t panel,
                Bf16* to) {
  PackSource<float> wide;
  wide.source = from.source, wide.column_stride = from.column_stride,
  wide.channel_stride = from.channel_stride;
  wide.tap_offsets = from.tap_offsets, wide.columns = from.columns, wide.channels = from.channels;
  const int64_t length = from.segment();
  const Scratch<float> floats(from.segments() * length * table.nr);
  pack_panel(*table.floats, wide, panel, floats.data());
  for (int64_t s = 0; s < from.segments(); ++s)
    table.pack_pairs(floats.data() + s * length * table.nr, length,
                     to + s * round_up(length, table.k_step) * table.nr);
}

// [tap][channel / 4][nr][4], zero-filled.
template <>
void pack_panel(const KernelTable<U8>& table, const PackSource<U8>& from, int64_t panel, U8* to) {
  const int64_t nr = table.nr, first = panel * nr, columns = std::min(nr, from.columns - first),
                depth = round_up(from.channels, table.k_step);
  std::fill_n(to, from.segments() * depth * nr, U8(0));
  for (int64_t t = 0; t < from.segments(); ++t)
    for (int64_t j = 0; j < columns; ++j) {
      const int8_t* in =
          from.source + (first + j) * from.column_stride + from.tap_offsets[static_cast<size_t>(t)];
      U8* out = to + t * depth * nr + 4 * j;
      for (int64_t c = 0; c < from.channels; ++c)
        out[c / 4 * 4 * nr + c % 4] = static_cast<U8>(in[c * from.channel_stride]);
    }
}

template void pack_panel(const KernelTable<float>&, const PackSource<float>&, int64_t, float*);
template void pack_panel(const KernelTable<double>&, const PackSource<double>&, int64_t, double*);

template <class T>
void pack(ExecContext& context, const KernelTable<T>& table, std::span<const PackSource<T>> sources,
          std::span<T* const> packed) {
  std::vector<int64_t> first_job{0};
  for (const PackSource<T>& source : sources)
    first_job.push_back(first_job.back() + ceil_div(source.columns, table.nr));
  context.parallel_for(first_job.back(), [&](int64_t job) {
    const auto i = static_cast<size_t>(std::upper_bound(first_job.begin(), first_job.end(), job) -
                                       first_job.begin()) -
                   1;
    const PackSource<T>& source = sources[i];
    const int64_t panel = job - first_job[i];
    pack_panel(table, source, panel,
               packed[i] +
                   panel * table.nr * source.segments() * round_up(source.segment(), table.k_step));
  });
}

template void pack(ExecContext&, const KernelTable<float>&, std::span<const PackSource<float>>,
                   std::span<float* const>);
template void pack(ExecContext&, const KernelTable<double>&, std::span<const PackSource<double>>,
                   std::span<double* const>);
template void pack(ExecContext&, const KernelTable<Bf16>&, std::span<const PackSource<Bf16>>,
                   std::span<Bf16* const>);
template void pack(ExecContext&, const KernelTable<U8>&, std::span<const PackSource<U8>>,
                   std::span<U8* const>);

}  // namespace graft::cpu
