// TiledProduct: C = A * B in 64 x 64 tiles through shared memory, 4 x 4 sums a thread, in float.
// What A, B and C are is the problem's business (index maths): matrices, images seen through a
// window, gradients. Graft's own path where cuDNN is absent.
#pragma once
#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// Problem: a plain struct with `name`, extents m, n, k and count (independent products), `part`
// (steps of k that one block sums), a(product, row, step), b(product, step, column) and
// store(product, part, row, column, value).
struct ProductTiles {
  static constexpr int edge = 64, depth = 16, each = 4;
  int64_t m = 0, n = 0, k = 0, count = 1, part = 0;

  GRAFT_HD int64_t down() const { return (m + edge - 1) / edge; }
  GRAFT_HD int64_t across() const { return (n + edge - 1) / edge; }
  GRAFT_HD int64_t parts() const { return k == 0 ? 1 : (k + part - 1) / part; }
  GRAFT_HD int64_t blocks() const { return count * parts() * down() * across(); }
  struct Tile {
    int64_t product, part, row, column;  // row and column of its first element
  };
  GRAFT_HD Tile tile(int64_t block) const {
    const int64_t column = block % across() * edge;
    block /= across();
    const int64_t row = block % down() * edge;
    block /= down();
    return {block / parts(), block % parts(), row, column};
  }
};

template <class Problem>
struct TiledProduct {
  static constexpr const char* name = Problem::name;
  static constexpr bool cooperates = true;
  static constexpr int edge = ProductTiles::edge, depth = ProductTiles::depth,
                       each = ProductTiles::each, pitch = edge + 1;
  static constexpr int shared_bytes = 2 * depth * pitch * static_cast<int>(sizeof(float));
  static_assert(kThreads == (edge / each) * (edge / each));
  struct Args {
    Problem problem;
    ProductTiles tiles;
  };

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto a = t.template shared<float>(depth * pitch),
               b = t.template shared<float>(depth * pitch);
    const ProductTiles& s = args.tiles;
    const auto tile = s.tile(t.block());
    const int row = t.thread() / (edge / each) * each, column = t.thread() % (edge / each) * each;
    const int64_t begin = tile.part * s.part, end = begin + s.part < s.k ? begin + s.part : s.k;
    float sums[each][each] = {};
    for (int64_t step = begin; step < end; step += depth) {
      fill(t, args.problem, s, tile, step, end, a, b);
      t.sync();
      for (int d = 0; d < depth; ++d) {
        float u[each], v[each];
        for (int i = 0; i < each; ++i)
          u[i] = a.get(d * pitch + row + i), v[i] = b.get(d * pitch + column + i);
        for (int i = 0; i < each; ++i)
          for (int j = 0; j < each; ++j) sums[i][j] += u[i] * v[j];
      }
      t.sync();
    }
    for (int i = 0; i < each; ++i)
      for (int j = 0; j < each; ++j)
        if (tile.row + row + i < s.m && tile.column + column + j < s.n)
          args.problem.store(tile.product, tile.part, tile.row + row + i, tile.column + column + j,
                             sums[i][j]);
  }

 private:
  // Both tiles for steps [step, step + depth); zeros outside.
  template <class Thread, class Array>
  GRAFT_HD static void fill(const Thread& t, const Problem& problem, const ProductTiles& s,
                            const ProductTiles::Tile& tile, int64_t step, int64_t end,
                            const Array& a, const Array& b) {
    for (int i = t.thread(); i < depth * edge; i += t.threads()) {
      const int d = i % depth, line = i / depth;
      const bool inside = step + d < end && tile.row + line < s.m;
      a.set(d * pitch + line, inside ? problem.a(tile.product, tile.row + line, step + d) : 0.f);
    }
    for (int i = t.thread(); i < depth * edge; i += t.threads()) {
      const int line = i % edge, d = i / edge;
      const bool inside = step + d < end && tile.column + line < s.n;
      b.set(d * pitch + line, inside ? problem.b(tile.product, step + d, tile.column + line) : 0.f);
    }
  }
};

template <class Problem>
void launch_product(gpu::Device& device, const ProductTiles& tiles, const Problem& problem) {
  using Body = TiledProduct<Problem>;
  launch<Body>(device, tiles.blocks(), kThreads, {problem, tiles}, Body::shared_bytes);
}

}  // namespace graft::cuda
