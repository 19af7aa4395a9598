// Entries sorted by what they are added to, so that sums over entries that meet are gathered in
// their order: no atomics, the same bits every time. A bitonic sort: its launches follow from the
// number of entries alone.
#pragma once
#include <limits>

#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/map.h"

namespace graft::cuda {

inline constexpr int64_t kNoTarget =
    std::numeric_limits<int64_t>::max();        // sorts behind all others
inline constexpr int kSortTile = 2 * kThreads;  // entries that a block sorts in shared memory

struct SortPair {
  int64_t low, high;
  bool ascending;
};
// Pair i of the step that compares entries `stride` apart within runs of `size`.
GRAFT_HD SortPair sort_pair(int64_t i, int64_t size, int64_t stride) {
  const int64_t low = 2 * i - (i & (stride - 1));
  return {low, low + stride, (low & size) == 0};
}
GRAFT_HD bool out_of_order(const SortPair& pair, int64_t low_key, int32_t low_entry,
                           int64_t high_key, int32_t high_entry) {
  const bool falls = low_key > high_key || (low_key == high_key && low_entry > high_entry);
  return falls == pair.ascending;
}

// F: a plain struct with target(entry), kNoTarget or a number from 0 on.
template <class F>
struct SortKeys {
  static constexpr const char* name = "sort, keys";
  static constexpr int group = 1;
  F f;
  int64_t count;
  Span<int64_t> keys;
  Span<int32_t> entries;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    keys.store(i, i < count ? f.target(i) : kNoTarget);
    entries.store(i, static_cast<int32_t>(i));
  }
};

struct SortStep {
  static constexpr const char* name = "sort, step";
  static constexpr int group = 1;
  Span<int64_t> keys;
  Span<int32_t> entries;
  int64_t size, stride;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const SortPair pair = sort_pair(i, size, stride);
    const int64_t u = keys.load(pair.low), v = keys.load(pair.high);
    const int32_t p = entries.load(pair.low), q = entries.load(pair.high);
    if (!out_of_order(pair, u, p, v, q)) return;
    keys.store(pair.low, v), keys.store(pair.high, u);
    entries.store(pair.low, q), entries.store(pair.high, p);
  }
};

// All steps within a tile for runs of first_size to last_size.
struct SortTile {
  static constexpr const char* name = "sort, tile";
  static constexpr bool cooperates = true;
  struct Args {
    Span<int64_t> keys;
    Span<int32_t> entries;
    int64_t first_size, last_size;
  };
  static constexpr int shared_bytes =
      kSortTile * static_cast<int>(sizeof(int64_t) + sizeof(int32_t));
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto keys = t.template shared<int64_t>(kSortTile);
    const auto entries = t.template shared<int32_t>(kSortTile);
    const int64_t base = t.block() * kSortTile;
    for (int i = t.thread(); i < kSortTile; i += kThreads)
      keys.set(i, a.keys.load(base + i)), entries.set(i, a.entries.load(base + i));
    for (int64_t size = a.first_size; size <= a.last_size; size *= 2)
      for (int64_t stride = size / 2 < kThreads ? size / 2 : kThreads; stride > 0; stride /= 2) {
        t.sync();
        SortPair pair = sort_pair(t.thread(), size, stride);
        pair.ascending = ((base + pair.low) & size) == 0;
        const int low = static_cast<int>(pair.low), high = static_cast<int>(pair.high);
        const int64_t u = keys.get(low), v = keys.get(high);
        const int32_t p = entries.get(low), q = entries.get(high);
        if (!out_of_order(pair, u, p, v, q)) continue;
        keys.set(low, v), keys.set(high, u);
        entries.set(low, q), entries.set(high, p);
      }
    t.sync();
    for (int i = t.thread(); i < kSortTile; i += kThreads)
      a.keys.store(base + i, keys.get(i)), a.entries.store(base + i, entries.get(i));
  }
};

// A view of sorted entries. Those of one target stand behind one another, in their order.
struct Targets {
  Span<const int64_t> keys;
  Span<const int32_t> entries;
  int64_t count;
  // The target of the run that begins at p; -1 where none does.
  GRAFT_HD int64_t run_at(int64_t p) const {
    const int64_t key = keys.load(p);
    return key == kNoTarget || (p > 0 && keys.load(p - 1) == key) ? -1 : key;
  }
  GRAFT_HD bool goes_on(int64_t p, int64_t target) const {
    return p < count && keys.load(p) == target;
  }
};

struct SortedTargets {
  Tensor keys, entries;
  int64_t count;
  Targets view() const { return {span<int64_t>(keys), span<int32_t>(entries), count}; }
};

template <class F>
SortedTargets sort_by_target(graft::Device where, int64_t count, const F& f) {
  GRAFT_CHECK(count < std::numeric_limits<int32_t>::max() / 2, "a sum over ", count,
              " entries is too long for the device");
  int64_t padded = kSortTile;
  while (padded < count) padded *= 2;
  SortedTargets sorted{Tensor::empty({padded}, {.dtype = DType::i64, .device = where}),
                       Tensor::empty({padded}, {.dtype = DType::i32, .device = where}), count};
  const Span<int64_t> keys = mutable_span<int64_t>(sorted.keys);
  const Span<int32_t> entries = mutable_span<int32_t>(sorted.entries);
  gpu::Device& device = device_of(sorted.keys);
  const auto tiles = [&](int64_t first, int64_t last) {
    launch<SortTile>(device, padded / kSortTile, kThreads, {keys, entries, first, last},
                     SortTile::shared_bytes);
  };
  launch_map(device, padded, SortKeys<F>{f, count, keys, entries});
  tiles(2, kSortTile);
  for (int64_t size = 2 * kSortTile; size <= padded; size *= 2) {
    for (int64_t stride = size / 2; stride > kThreads; stride /= 2)
      launch_map(device, padded / 2, SortStep{keys, entries, size, stride});
    tiles(size, size);
  }
  return sorted;
}

}  // namespace graft::cuda
