// ColumnSums: sums over the rows of a matrix [rows, channels], for each channel: what batch norm
// and bias gradients need of images in channels_last. Blocks sum chunks of rows; a second kernel
// (ColumnJoin) joins the chunks in an order that their number fixes.
#pragma once
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/custom/channel_rows.h"

namespace graft::cuda {

// Chunks of rows for sums: enough blocks to keep a GPU's memory busy, few enough to be joined in no
// time.
inline ColumnTiles column_tiles(int64_t rows, int64_t channels, int group) {
  constexpr int64_t blocks = 512, rows_a_thread = 8;
  return ColumnTiles::of(rows, channels, group, rows_a_thread, blocks);
}

// F: a plain struct with
//   name, and `values`, the number of sums a channel
//   State<N>, and prepare<N>(chunk_begin, channel), what a thread needs of its N channels
//   add<N>(state, row, channel, sums), which adds to sums[values][N].
template <class F, int N>
struct ColumnSums {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = true;
  struct Args {
    F f;
    ColumnTiles tiles;
    uint32_t across;
    Span<float> partial;  // [chunks, values, channels]
  };
  static constexpr int shared_bytes = kThreads * N * static_cast<int>(sizeof(float));

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(kThreads * N);
    const ColumnTiles& s = a.tiles;
    const ColumnPlace here(t, s, a.across, N);
    const int line = here.line, lines = s.lines();
    const int64_t channel = here.channel;
    float sums[F::values][N] = {};
    if (channel < s.channels) {
      const auto state = a.f.template prepare<N>(here.begin, channel);
      GRAFT_UNROLL_4
      for (int64_t row = here.begin + line; row < here.end; row += lines)
        a.f.template add<N>(state, row, channel, sums);
    }
    GRAFT_UNROLL
    for (int value = 0; value < F::values; ++value) {
      const auto place = [&](int j, int of_line) {
        return ((j * lines + of_line) << s.lane_bits) + here.lane;
      };
      if (value > 0) t.sync();
      GRAFT_UNROLL
      for (int j = 0; j < N; ++j) shared.set(place(j, line), sums[value][j]);
      for (int half = lines / 2; half > 0; half /= 2) {
        t.sync();
        if (line < half)
          for (int j = 0; j < N; ++j)
            shared.set(place(j, line),
                       shared.get(place(j, line)) + shared.get(place(j, line + half)));
      }
      if (line == 0 && channel < s.channels)
        for (int j = 0; j < N; ++j)
          a.partial.store((here.chunk * F::values + value) * s.channels + channel + j,
                          shared.get(place(j, 0)));
    }
  }
};

// F: a plain struct with name, `values`, the number of floats of a Sum, and
//   part(chunk, channel, sum), which sets a chunk's Sum; join(sum, other), the sum of both;
//   finish(channel, sum).
template <class F>
struct ColumnJoin {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = true;
  static constexpr int across = 8,
                       lines =
                           kThreads / across;  // channels of a block, and threads of one of them
  static constexpr int shared_bytes = kThreads * F::values * static_cast<int>(sizeof(float));
  struct Args {
    F f;
    int64_t chunks, channels;
  };

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(kThreads * F::values);
    const int line = t.thread() / across;
    const int64_t channel = t.block() * across + t.thread() % across;
    float sum[F::values] = {}, other[F::values];
    if (channel < a.channels)
      for (int64_t chunk = line; chunk < a.chunks; chunk += lines) {
        a.f.part(chunk, channel, other);
        a.f.join(sum, other);
      }
    const auto place = [&](int value, int thread) { return value * kThreads + thread; };
    for (int value = 0; value < F::values; ++value)
      shared.set(place(value, t.thread()), sum[value]);
    for (int half = lines / 2; half > 0; half /= 2) {
      t.sync();
      if (line >= half) continue;
      for (int value = 0; value < F::values; ++value)
        other[value] = shared.get(place(value, t.thread() + half * across));
      a.f.join(sum, other);
      for (int value = 0; value < F::values; ++value)
        shared.set(place(value, t.thread()), sum[value]);
    }
    if (line == 0 && channel < a.channels) a.f.finish(channel, sum);
  }
};

template <class F>
void launch_join(gpu::Device& device, int64_t chunks, int64_t channels, const F& f) {
  using Body = ColumnJoin<F>;
  launch<Body>(device, ceil_div(channels, int64_t{Body::across}), kThreads, {f, chunks, channels},
               Body::shared_bytes);
}

// Plain sums, stored at channel * stride + first + value; T is float or the type of the result.
template <class T, int kValues>
struct JoinSums {
  static constexpr const char* name = "column sums, join";
  static constexpr int values = kValues;
  Span<const float> partial;
  Span<T> y;
  int64_t channels, stride, first;
  int wanted;  // of the values
  GRAFT_HD void part(int64_t chunk, int64_t channel, float* sum) const {
    for (int v = 0; v < values; ++v)
      sum[v] = partial.load((chunk * values + v) * channels + channel);
  }
  GRAFT_HD void join(float* sum, const float* other) const {
    for (int v = 0; v < values; ++v) sum[v] += other[v];
  }
  GRAFT_HD void finish(int64_t channel, const float* sum) const {
    for (int v = 0; v < wanted; ++v) y.store(channel * stride + first + v, from_float<T>(sum[v]));
  }
};

// Nothing but the elements themselves.
template <class T>
struct RowSums {
  static constexpr const char* name = "column sums";
  static constexpr int values = 1;
  Span<const T> x;
  int64_t channels;
  template <int N>
  GRAFT_HD bool prepare(int64_t, int64_t) const {
    return true;
  }
  template <int N>
  GRAFT_HD void add(bool, int64_t row, int64_t channel, float (&sums)[1][N]) const {
    float v[N];
    to_floats(x.template load_group<N>(row * channels + channel), v);
    for (int j = 0; j < N; ++j) sums[0][j] += v[j];
  }
};

}  // namespace graft::cuda
