// A matrix [rows, channels] (images in channels_last) cut for a launch, and ChannelRows: the frame
// of element-wise kernels whose numbers belong to channels. A thread stays with its group of
// channels, so that it reads those numbers once and no index is divided; what is left for an
// element is its own arithmetic.
#pragma once
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// A function of the shape alone. A block is `lanes` channel groups wide (1 to 32, a power of two)
// and kThreads / lanes rows high.
struct ColumnTiles {
  int64_t rows = 0, channels = 0, chunk = 0;  // chunk: rows of a block
  int group = 1, lane_bits = 0;

  // rows_a_thread at least; more where there would be more than `blocks` blocks.
  static ColumnTiles of(int64_t rows, int64_t channels, int group, int64_t rows_a_thread,
                        int64_t blocks) {
    ColumnTiles tiles{rows, channels, 0, group, 0};
    while (tiles.lanes() < 32 && tiles.lanes() * group < channels) ++tiles.lane_bits;
    const int64_t chunks = std::max<int64_t>(1, blocks / std::max<int64_t>(1, tiles.across()));
    tiles.chunk = std::max(tiles.lines() * rows_a_thread, ceil_div(rows, chunks));
    return tiles;
  }
  GRAFT_HD int lanes() const { return 1 << lane_bits; }
  GRAFT_HD int lines() const { return kThreads >> lane_bits; }
  int64_t chunks() const { return ceil_div(rows, chunk); }
  int64_t across() const { return ceil_div(channels, int64_t{lanes()} * group); }
};

// A thread's place: its first channel, the rows [begin, end) of its block, and the first of them
// that is its own.
struct ColumnPlace {
  int64_t channel, chunk, begin, end;
  int lane, line;
  template <class Thread>
  GRAFT_HD ColumnPlace(const Thread& t, const ColumnTiles& tiles, uint32_t across, int group) {
    const auto block = static_cast<uint32_t>(t.block());
    lane = t.thread() & (tiles.lanes() - 1);
    line = t.thread() >> tiles.lane_bits;
    channel = ((block % across << tiles.lane_bits) + static_cast<uint32_t>(lane)) *
              static_cast<int64_t>(group);
    chunk = block / across;
    begin = chunk * tiles.chunk;
    end = begin + tiles.chunk < tiles.rows ? begin + tiles.chunk : tiles.rows;
  }
};

// N channels' numbers of four bytes; in groups of four where N allows (then the span is aligned).
template <int N, class V, class T>
GRAFT_HD void load_channels(const Span<V>& from, int64_t channel, T* numbers) {
  if constexpr (N % 4 == 0) {
    for (int j = 0; j < N; j += 4) {
      const Group<T, 4> four = from.template load_group<4>(channel + j);
      for (int k = 0; k < 4; ++k) numbers[j + k] = four.v[k];
    }
  } else {
    for (int j = 0; j < N; ++j) numbers[j] = from.load(channel + j);
  }
}
// `otherwise` where the span is empty.
template <int N>
GRAFT_HD void load_channels(const Span<const float>& from, int64_t channel, float otherwise,
                            float* numbers) {
  if (from) return load_channels<N>(from, channel, numbers);
  for (int j = 0; j < N; ++j) numbers[j] = otherwise;
}
template <int N, class T>
GRAFT_HD void store_channels(const Span<T>& to, int64_t channel, const T* numbers) {
  if constexpr (N % 4 == 0) {
    for (int j = 0; j < N; j += 4)
      to.template store_group<4>(
          channel + j, Group<T, 4>{{numbers[j], numbers[j + 1], numbers[j + 2], numbers[j + 3]}});
  } else {
    for (int j = 0; j < N; ++j) to.store(channel + j, numbers[j]);
  }
}

// F: a plain struct with
//   name, and `ahead`, how many rows are read before one is written (what is in flight hides the
//   memory's latency) State<N>, and prepare<N>(channel), what a thread needs of its N channels
//   Elements<N>, and load<N>(state, row, i), what the result's elements [i, i + N) of that row are
//   made of store<N>(state, i, elements), which makes them.
template <class F, int N>
struct ChannelRows {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = false;
  struct Args {
    F f;
    ColumnTiles tiles;
    uint32_t across;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const ColumnPlace place(t, a.tiles, a.across, N);
    if (place.channel >= a.tiles.channels) return;
    const int lines = a.tiles.lines();
    const int64_t end = place.end, step = lines * a.tiles.channels;
    const auto state = a.f.template prepare<N>(place.channel);
    int64_t row = place.begin + place.line, i = row * a.tiles.channels + place.channel;
    if constexpr (F::ahead > 1) {
      for (; row + (F::ahead - 1) * lines < end; row += F::ahead * lines, i += F::ahead * step) {
        typename F::template Elements<N> elements[F::ahead];
        GRAFT_UNROLL
        for (int k = 0; k < F::ahead; ++k)
          elements[k] = a.f.template load<N>(state, row + k * lines, i + k * step);
        GRAFT_UNROLL
        for (int k = 0; k < F::ahead; ++k) a.f.template store<N>(state, i + k * step, elements[k]);
      }
    }
    for (; row < end; row += lines, i += step)
      a.f.template store<N>(state, i, a.f.template load<N>(state, row, i));
  }
};

template <int N, class F>
void launch_channel_rows(gpu::Device& device, int64_t rows, int64_t channels, const F& f,
                         int64_t rows_a_thread = 16) {
  constexpr int64_t blocks = int64_t{1} << 30;
  const ColumnTiles tiles = ColumnTiles::of(rows, channels, N, rows_a_thread, blocks);
  launch<ChannelRows<F, N>>(device, tiles.chunks() * tiles.across(), kThreads,
                            {f, tiles, static_cast<uint32_t>(tiles.across())});
}

}  // namespace graft::cuda
