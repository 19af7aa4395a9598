// PartialSums: many sums of many terms each. A block makes some results of one chunk of the terms;
// a second kernel adds the chunks in their order. How it is cut follows from the shape, so that a
// launch gives the same bits every time.
#pragma once
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/join_parts.h"
#include "graft/kernels/cuda/device/map.h"

namespace graft::cuda {

// A block is `lanes` results wide; its other threads share their terms.
struct SumTiles {
  int64_t results = 0, terms = 0, chunk = 0;
  int lanes = 1;

  // `across`: neighbouring results are neighbours in memory, else neighbouring terms are.
  static SumTiles of(int64_t results, int64_t terms, bool across) {
    SumTiles tiles{results, terms, 0, 1};
    const int64_t widest = terms < 64 ? kThreads : across ? 32 : 1;
    while (tiles.lanes < widest && tiles.lanes < results) tiles.lanes *= 2;
    constexpr int64_t most_chunks = 128, terms_a_thread = 16;
    tiles.chunk = std::max<int64_t>(
        {1, kThreads / tiles.lanes * terms_a_thread, ceil_div(terms, most_chunks)});
    return tiles;
  }
  int64_t chunks() const { return std::max<int64_t>(1, ceil_div(terms, chunk)); }
  int64_t across() const { return ceil_div(results, int64_t{lanes}); }
};

// F: a plain struct with `name` and term(result, i), a float.
template <class F>
struct PartialSums {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = true;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(float));
  struct Args {
    F f;
    SumTiles tiles;
    int64_t across;
    Span<float> sums;  // [chunks, results]
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(kThreads);
    const SumTiles& s = a.tiles;
    const int lane = t.thread() % s.lanes, line = t.thread() / s.lanes,
              lines = t.threads() / s.lanes;
    const int64_t result = t.block() % a.across * s.lanes + lane, chunk = t.block() / a.across;
    const int64_t begin = chunk * s.chunk,
                  end = begin + s.chunk < s.terms ? begin + s.chunk : s.terms;
    float sum = 0;
    if (result < s.results)
      for (int64_t i = begin + line; i < end; i += lines) sum += a.f.term(result, i);
    shared.set(t.thread(), sum);
    for (int half = lines / 2; half > 0; half /= 2) {
      t.sync();
      if (line < half)
        shared.set(t.thread(), shared.get(t.thread()) + shared.get(t.thread() + half * s.lanes));
    }
    if (line == 0 && result < s.results) a.sums.store(chunk * s.results + result, shared.get(lane));
  }
};

// y[result] = the sum of f.term(result, i) for i in [0, terms).
template <class T, class F>
void launch_sums(Tensor& y, int64_t terms, bool across, const F& f) {
  if (y.numel() == 0) return;
  gpu::Device& device = device_of(y);
  const SumTiles tiles = SumTiles::of(y.numel(), terms, across);
  Tensor sums = Tensor::empty({tiles.chunks(), y.numel()}, {.device = y.device()});
  launch<PartialSums<F>>(device, tiles.across() * tiles.chunks(), kThreads,
                         {f, tiles, tiles.across(), mutable_span<float>(sums)},
                         PartialSums<F>::shared_bytes);
  launch_map(device, y.numel(),
             JoinParts<T>{span<float>(sums), mutable_span<T>(y), tiles.chunks()});
}

}  // namespace graft::cuda
