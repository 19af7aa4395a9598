// Transpose: [batch][rows][columns] to [batch][columns][rows], in 32 x 32 tiles through shared
// memory, so that reads and writes both run along memory.
#pragma once
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// Which tile a block works on.
struct TransposeTiles {
  int64_t batch, rows, columns;
  static constexpr int edge = 32;
  GRAFT_HD int64_t across() const { return (columns + edge - 1) / edge; }
  GRAFT_HD int64_t down() const { return (rows + edge - 1) / edge; }
  GRAFT_HD int64_t count() const { return batch * across() * down(); }
  struct Tile {
    int64_t image, row, column;  // its first element
  };
  GRAFT_HD Tile tile(int64_t block) const {
    const int64_t in_image = block % (across() * down());
    return {block / (across() * down()), in_image / across() * edge, in_image % across() * edge};
  }
};

template <class Bits>
struct Transpose {
  static constexpr const char* name = "memory format";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const Bits> x;
    Span<Bits> y;
    TransposeTiles tiles;
  };
  static constexpr int pitch =
      TransposeTiles::edge + 1;  // one more: columns fall into different banks

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<Bits>(TransposeTiles::edge * pitch);
    const TransposeTiles& s = a.tiles;
    const auto tile = s.tile(t.block());
    const int x = t.thread() % 32, step = t.threads() / 32;
    for (int y = t.thread() / 32; y < 32; y += step)
      if (tile.row + y < s.rows && tile.column + x < s.columns)
        shared.set(y * pitch + x,
                   a.x.load((tile.image * s.rows + tile.row + y) * s.columns + tile.column + x));
    t.sync();
    for (int y = t.thread() / 32; y < 32; y += step)
      if (tile.column + y < s.columns && tile.row + x < s.rows)
        a.y.store((tile.image * s.columns + tile.column + y) * s.rows + tile.row + x,
                  shared.get(x * pitch + y));
  }
};

template <class Bits>
void launch_transpose(gpu::Device& device, Span<const Bits> x, Span<Bits> y, int64_t batch,
                      int64_t rows, int64_t columns) {
  const TransposeTiles tiles{batch, rows, columns};
  if (x.size == 0) return;
  launch<Transpose<Bits>>(
      device, tiles.count(), kThreads, {x, y, tiles},
      TransposeTiles::edge * (TransposeTiles::edge + 1) * static_cast<int>(sizeof(Bits)));
}

}  // namespace graft::cuda
