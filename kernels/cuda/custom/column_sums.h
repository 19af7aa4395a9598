// ColumnSums: two sums over the rows of a matrix [rows, channels], for each channel: what batch norm needs of images in
// channels_last. Blocks sum chunks of rows; a second kernel adds the chunks in their order.
#pragma once
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// How the matrix is cut, a function of its shape alone. A block is `lanes` channel groups wide and kThreads / lanes rows high.
struct ColumnTiles {
  int64_t rows = 0, channels = 0, chunk = 0;  // chunk: rows of a block
  int group = 1, lanes = 1;

  static ColumnTiles of(int64_t rows, int64_t channels, int group) {
    ColumnTiles tiles{rows, channels, 0, group, 1};
    while (tiles.lanes < 32 && tiles.lanes * group < channels) tiles.lanes *= 2;
    constexpr int64_t most_chunks = 128, rows_a_thread = 8;
    tiles.chunk = std::max(kThreads / tiles.lanes * rows_a_thread, ceil_div(rows, most_chunks));
    return tiles;
  }
  int64_t chunks() const { return ceil_div(rows, chunk); }
  int64_t across() const { return ceil_div(channels, int64_t{lanes} * group); }
};

// F: a plain struct with `name` and a template add<N>(chunk_begin, row, channel, first, second) that adds to N sums each.
template <class F, int N>
struct ColumnSums {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = true;
  struct Args {
    F f;
    ColumnTiles tiles;
    int64_t across;
    Span<float> first, second;  // [chunks, channels]
  };
  static constexpr int shared_bytes = 2 * kThreads * N * static_cast<int>(sizeof(float));

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(2 * kThreads * N);
    const ColumnTiles& s = a.tiles;
    const int lane = t.thread() % s.lanes, line = t.thread() / s.lanes, lines = t.threads() / s.lanes;
    const int64_t channel = (t.block() % a.across * s.lanes + lane) * N, chunk = t.block() / a.across;
    const int64_t begin = chunk * s.chunk, end = begin + s.chunk < s.rows ? begin + s.chunk : s.rows;
    float first[N] = {}, second[N] = {};
    if (channel < s.channels)
      for (int64_t row = begin + line; row < end; row += lines) a.f.template add<N>(begin, row, channel, first, second);
    const auto place = [&](int sum, int of_line) { return (sum * lines + of_line) * s.lanes + lane; };
    for (int j = 0; j < N; ++j) shared.set(place(j, line), first[j]), shared.set(place(N + j, line), second[j]);
    for (int half = lines / 2; half > 0; half /= 2) {
      t.sync();
      if (line < half)
        for (int j = 0; j < 2 * N; ++j) shared.set(place(j, line), shared.get(place(j, line)) + shared.get(place(j, line + half)));
    }
    if (line != 0 || channel >= s.channels) return;
    for (int j = 0; j < N; ++j) {
      a.first.store(chunk * s.channels + channel + j, shared.get(place(j, 0)));
      a.second.store(chunk * s.channels + channel + j, shared.get(place(N + j, 0)));
    }
  }
};

}  // namespace graft::cuda
