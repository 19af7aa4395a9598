// TensorProduct: C = A * B of 16-bit elements on tensor cores, summed in float32. Tiles of A and B
// come to shared memory in three stages, two of them on their way while one is multiplied. What A,
// B and C are is the problem's business.
#pragma once
#include "graft/core/base/checked_math.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/staged_store.h"
#include "graft/kernels/cuda/device/tensor_core.h"
#include "graft/kernels/cuda/device/tensor_tile.h"

namespace graft::cuda {

// Extents [m, k] * [k, n], each below 2^31; `part`: steps of k that one block sums. Blocks of one
// row of tiles are neighbours.
struct TensorTiles {
  static constexpr int rows = 128;
  int64_t m = 0, n = 0, k = 0, part = 0;
  int columns = 128;  // of a tile: 128 or 64

  GRAFT_HD int64_t across() const { return (n + columns - 1) / columns; }
  GRAFT_HD int64_t down() const { return (m + rows - 1) / rows; }
  GRAFT_HD int64_t parts() const { return k == 0 ? 1 : (k + part - 1) / part; }
  GRAFT_HD int64_t blocks() const { return parts() * down() * across(); }
  struct Tile {
    int part, row, column;  // of its first element
    int begin, end;         // steps of k
  };
  GRAFT_HD Tile tile(int64_t block) const {
    const int64_t column = block % across() * columns, row = block / across() % down() * rows,
                  index = block / across() / down();
    const int64_t begin = index * part, end = begin + part < k ? begin + part : k;
    return {static_cast<int>(index), static_cast<int>(row), static_cast<int>(column),
            static_cast<int>(begin), static_cast<int>(end)};
  }
};

// Operand: a plain struct with `along_depth` (which way its groups of eight run), states Line and
// Depth, line(i), depth(i), advance(depth, steps), at(line, depth), the element's place or -1 for a
// zero, and `elements`, the span it lies in. This is one thread's share in filling its tiles.
template <class T, class Operand, class Tile, bool grouped>
class OperandFill {
  static constexpr bool along_depth = Operand::along_depth;
  static constexpr int each = Tile::groups / kThreads;  // groups of a thread
  static constexpr int lines = along_depth ? each : 1, depths = along_depth ? 1 : each,
                       apart = kThreads / Tile::across;
  static_assert(Tile::groups % kThreads == 0 && kThreads % Tile::across == 0);

 public:
  // The tile's first line of `extent`, and the first step.
  template <class Thread>
  GRAFT_HD OperandFill(const Thread& t, const Operand& operand, int first_line, int extent,
                       int step)
      : extent_(extent) {
    const int row = t.thread() / Tile::across, group = t.thread() % Tile::across * 8;
    line_ = first_line + (along_depth ? row : group);
    step_ = step + (along_depth ? group : row);
    GRAFT_UNROLL
    for (int i = 0; i < lines; ++i) line_state_[i] = operand.line(line_ + i * apart);
    GRAFT_UNROLL
    for (int i = 0; i < depths; ++i) depth_state_[i] = operand.depth(step_ + i * apart);
  }

  // Brings the next tile, steps before `end`, to the groups from `first` on.
  template <class Thread>
  GRAFT_HD void fill(Thread& t, const Operand& operand, const Shared<MatrixRow<T>>& shared,
                     int first, int end) {
    const int row = t.thread() / Tile::across, group = t.thread() % Tile::across;
    GRAFT_UNROLL
    for (int i = 0; i < each; ++i) {
      const int place = first + Tile::place(row + i * apart, group);
      const int line = line_ + (along_depth ? i * apart : 0),
                step = step_ + (along_depth ? 0 : i * apart);
      const auto& line_state = line_state_[along_depth ? i : 0];
      const auto& depth_state = depth_state_[along_depth ? 0 : i];
      if constexpr (grouped)
        copy_async<T>(t, shared, place, operand.elements,
                      line < extent_ && step < end ? operand.at(line_state, depth_state) : -1);
      else
        shared.set(place, gather(operand, line_state, depth_state, line, step, end));
    }
    step_ += Tile::depth;
    GRAFT_UNROLL
    for (int i = 0; i < depths; ++i) operand.advance(depth_state_[i], Tile::depth);
  }

 private:
  // Eight elements, each by its own place.
  GRAFT_HD MatrixRow<T> gather(const Operand& operand, typename Operand::Line line_state,
                               typename Operand::Depth depth_state, int line, int step,
                               int end) const {
    MatrixRow<T> row;
    GRAFT_UNROLL
    for (int j = 0; j < 8; ++j) {
      const int64_t at =
          (along_depth ? line : line + j) < extent_ && (along_depth ? step + j : step) < end
              ? operand.at(line_state, depth_state)
              : -1;
      row.v[j] = at < 0 ? T{} : operand.elements.load(at);
      if (along_depth)
        operand.advance(depth_state, 1);
      else
        line_state = operand.line(line + j + 1);
    }
    return row;
  }

  typename Operand::Line line_state_[lines];
  typename Operand::Depth depth_state_[depths];
  int line_, step_, extent_;
};

// Output: a plain struct with `name` and store(part, row, column, v), which takes 8 neighbours of a
// row where `grouped` (then n is a multiple of 8), else one.
template <class T, class A, class B, class Output, int columns, bool grouped>
struct TensorProduct {
  static constexpr const char* name = Output::name;
  static constexpr bool cooperates = true;
  using TileA = OperandTile<TensorTiles::rows, A::along_depth>;
  using TileB = OperandTile<columns, B::along_depth>;
  static constexpr int stages = 3, stage_groups = TileA::groups + TileB::groups,
                       shared_bytes = stages * stage_groups * 16;
  // Warps: each does `warp_rows` x 32.
  static constexpr int warps = kThreads / 32, warps_across = columns / StagedSums::columns,
                       warp_rows = TensorTiles::rows / (warps / warps_across);
  static constexpr int down = warp_rows / 16, across = StagedSums::columns / 8;  // fragments
  static_assert(warps * StagedSums::floats * 4 <= shared_bytes && shared_bytes <= 48 << 10);
  struct Args {
    A a;
    B b;
    Output output;
    TensorTiles tiles;
  };
  struct Sums {
    FragmentC c[down][across];
  };

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<MatrixRow<T>>(stages * stage_groups);
    const TensorTiles::Tile tile = args.tiles.tile(t.block());
    OperandFill<T, A, TileA, grouped> a(t, args.a, tile.row, static_cast<int>(args.tiles.m),
                                        tile.begin);
    OperandFill<T, B, TileB, grouped> b(t, args.b, tile.column, static_cast<int>(args.tiles.n),
                                        tile.begin);
    const int steps = (tile.end - tile.begin + TileA::depth - 1) / TileA::depth;
    int filled = 0, stage = 0;
    const auto fill = [&](int slot) {
      if (filled < steps)
        a.fill(t, args.a, shared, slot * stage_groups, tile.end),
            b.fill(t, args.b, shared, slot * stage_groups + TileA::groups, tile.end);
      ++filled;
      end_copy_group(t);  // also an empty one, so that counting from the last finds the right ones
    };
    Sums sums = {};
    for (int slot = 0; slot < stages - 1; ++slot) fill(slot);
    GRAFT_NO_UNROLL
    for (int step = 0; step < steps; ++step) {
      wait_for_copies<stages - 2>(t);
      t.sync();  // the stage is there, and nobody reads the one before it any more
      fill(stage == 0 ? stages - 1 : stage - 1);
      multiply_stage(t, shared, stage * stage_groups, sums);
      stage = stage == stages - 1 ? 0 : stage + 1;
    }
    wait_for_copies<0>(t);
    t.sync();
    store(t, args, tile, shared, sums);
  }

 private:
  template <class Thread>
  GRAFT_HD static int warp_row(const Thread& t) {
    return t.thread() / 32 / warps_across * warp_rows;
  }
  template <class Thread>
  GRAFT_HD static int warp_column(const Thread& t) {
    return t.thread() / 32 % warps_across * StagedSums::columns;
  }

  template <class Thread>
  GRAFT_HD static void multiply_stage(Thread& t, const Shared<MatrixRow<T>>& shared, int first,
                                      Sums& sums) {
    GRAFT_UNROLL
    for (int step = 0; step < TileA::depth; step += 16) {
      FragmentA a[down];
      FragmentB b[across];
      GRAFT_UNROLL
      for (int i = 0; i < down; ++i) {
        const Matrices m = load_matrices<!A::along_depth, T>(
            t, shared, first + TileA::lane_row(t.lane(), warp_row(t) + 16 * i, step));
        a[i] = {{m.v[0], m.v[1], m.v[2], m.v[3]}};
      }
      GRAFT_UNROLL
      for (int j = 0; j < across; j += 2) {
        const Matrices m = load_matrices<!B::along_depth, T>(
            t, shared,
            first + TileA::groups + TileB::lane_row(t.lane(), warp_column(t) + 8 * j, step));
        b[j] = {{m.v[0], m.v[2]}};
        b[j + 1] = {{m.v[1], m.v[3]}};
      }
      GRAFT_UNROLL
      for (int i = 0; i < down; ++i) GRAFT_UNROLL
      for (int j = 0; j < across; ++j) multiply<T>(t, a[i], b[j], sums.c[i][j]);
    }
  }

  template <class Thread, class Array>
  GRAFT_HD static void store(Thread& t, const Args& args, const TensorTiles::Tile& tile,
                             const Array& shared, const Sums& sums) {
    const int own = t.thread() / 32 * StagedSums::floats;
    GRAFT_UNROLL
    for (int i = 0; i < down; ++i)
      store_staged<grouped>(
          t, shared, own, [&](int j) { return sums.c[i][j]; }, args.output, tile.part,
          tile.row + warp_row(t) + 16 * i, tile.column + warp_column(t), args.tiles.m,
          args.tiles.n);
  }
};

template <class T, bool grouped, class A, class B, class Output>
void launch_tensor_product(gpu::Device& device, const TensorTiles& tiles, const A& a, const B& b,
                           const Output& output) {
  const auto run = [&](auto columns) {
    using Body = TensorProduct<T, A, B, Output, columns(), grouped>;
    launch<Body>(device, tiles.blocks(), kThreads, {a, b, output, tiles}, Body::shared_bytes);
  };
  if constexpr (grouped) {
    if (tiles.columns == 128) return run(std::integral_constant<int, 128>{});
  }
  GRAFT_ASSERT(tiles.columns == 64);
  run(std::integral_constant<int, 64>{});
}

}  // namespace graft::cuda
