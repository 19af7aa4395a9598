// WarpgroupProduct: C = A * B of 16-bit elements on the tensor cores of sm_90a, summed in float32.
// One warp has the copy engine fill stages of shared memory, two warpgroups multiply them, and
// mbarriers go between: full and empty for each stage.
#pragma once
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/staged_store.h"
#include "graft/kernels/cuda/device/tensor_product.h"
#include "graft/kernels/cuda/device/warpgroup.h"

namespace graft::cuda {

// Where a step's tiles go, in 16-byte groups of shared memory, and the barrier that tells of them.
struct StagePlace {
  int a, b, barrier;
};

// How a stage lies: A [128, 64], B [64, columns], each in boxes of 128-byte rows. By lines, A is
// 128 rows and B `columns` rows of 64 steps; by steps, both are boxes of 64 rows (steps) of 64
// lines.
template <int columns>
struct WarpgroupStage {
  static constexpr int depth = 64, row_groups = 8;
  static constexpr int box = 64 * row_groups, box_bytes = box * 16;  // 64 rows
  static constexpr int groups_a = TensorTiles::rows * row_groups, groups_b = columns * row_groups,
                       groups = groups_a + groups_b;
  static constexpr int bytes = groups * 16;
};

// Pass: a plain struct with `name`, a_by_steps, b_by_steps (device/warpgroup.h), load<T,
// columns>(t, a, b, barriers, shared, place, tile, step), which begins the copies of one step's
// WarpgroupStage, and `output`, which stores groups of eight as TensorProduct's. TensorTiles count
// k in steps of 64 here.
template <class T, class Pass, int columns>
struct WarpgroupProduct {
  static constexpr const char* name = Pass::name;
  static constexpr bool cooperates = true, only_sm_90a = true;
  static constexpr int consumers = 256, threads = consumers + 32;
  using Stage = WarpgroupStage<columns>;
  static constexpr int stages =
      columns == 128 ? 3 : 4;                // two blocks of 96 KiB find place on a multiprocessor
  static constexpr int barrier_groups = 16;  // barriers: full, then empty, of eight bytes each
  static constexpr int shared_bytes = (stages * Stage::groups + barrier_groups) * 16;
  static_assert(consumers / 32 * StagedSums::floats * 4 <= stages * Stage::bytes &&
                shared_bytes <= 227 << 10 && 2 * stages * 8 <= barrier_groups * 16);
  struct Args {
    gpu::TensorMap a, b;
    Pass pass;
    TensorTiles tiles;
  };
  using Sums = WarpgroupSums<columns>;

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<MatrixRow<T>>(stages * Stage::groups);
    const auto barriers = t.template shared<uint64_t>(2 * barrier_groups);
    if (t.thread() == 0) {
      for (int i = 0; i < stages; ++i)
        init_barrier(t, barriers, i, 1), init_barrier(t, barriers, stages + i, consumers / 32);
      publish_barriers(t);
    }
    t.sync();
    const TensorTiles::Tile tile = args.tiles.tile(t.block());
    Sums sums = {};
    if (t.thread() >= consumers) {
      if (t.lane() == 0) produce(t, args, tile, barriers, shared);
      t.sync_warp();
    } else {
      consume(t, tile.end - tile.begin, barriers, shared, sums);
    }
    t.sync();  // nobody reads a stage any more
    if (t.thread() < consumers) store(t, args, tile, shared, sums);
  }

 private:
  // Step i is in stage i % stages, whose phases are then number i / stages.
  template <class Thread, class Array>
  GRAFT_HD static void produce(Thread& t, const Args& args, const TensorTiles::Tile& tile,
                               const Barriers& barriers, const Array& shared) {
    prefetch_map(t, args.a);
    prefetch_map(t, args.b);
    int stage = 0, round = 0;
    GRAFT_NO_UNROLL
    for (int step = tile.begin; step < tile.end; ++step) {
      if (round > 0) wait_for_phase(t, barriers, stages + stage, (round - 1) & 1);
      arrive_expecting(t, barriers, stage, Stage::bytes);
      args.pass.template load<T, columns>(
          t, args.a, args.b, barriers, shared,
          StagePlace{stage * Stage::groups, stage * Stage::groups + Stage::groups_a, stage}, tile,
          step);
      if (++stage == stages) stage = 0, ++round;
    }
  }

  // One group of products is under way while the next stage is waited for.
  template <class Thread, class Array>
  GRAFT_HD static void consume(Thread& t, int steps, const Barriers& barriers, const Array& shared,
                               Sums& sums) {
    int stage = 0, parity = 0, previous = 0;
    GRAFT_NO_UNROLL
    for (int step = 0; step < steps; ++step) {
      wait_for_phase(t, barriers, stage, parity);
      multiply_stage(t, shared, stage * Stage::groups, sums);
      wait_for_products<1>(t, sums);
      if (step > 0) release(t, barriers, previous);
      previous = stage;
      if (++stage == stages) stage = 0, parity ^= 1;
    }
    wait_for_products<0>(t, sums);
  }
  template <class Thread>
  GRAFT_HD static void release(Thread& t, const Barriers& barriers, int stage) {
    t.sync_warp();
    if (t.lane() == 0) arrive(t, barriers, stages + stage);
  }

  template <class Thread, class Array>
  GRAFT_HD static void multiply_stage(Thread& t, const Array& shared, int first, Sums& sums) {
    const uint32_t a = shared.address(first + t.thread() / 128 * Stage::box),
                   b = shared.address(first + Stage::groups_a);
    fence_products(t, sums);
    GRAFT_UNROLL
    for (int i = 0; i < Stage::depth / 16; ++i) {
      const uint64_t a_place = Pass::a_by_steps
                                   ? OperandPlace::steps(a + 2048 * i, Stage::box_bytes)
                                   : OperandPlace::lines(a + 32 * i);
      const uint64_t b_place = Pass::b_by_steps
                                   ? OperandPlace::steps(b + 2048 * i, Stage::box_bytes)
                                   : OperandPlace::lines(b + 32 * i);
      begin_product<T, Pass::a_by_steps, Pass::b_by_steps>(t, a_place, b_place, sums);
    }
    end_product_group(t);
  }

  template <class Thread, class Array>
  GRAFT_HD static void store(Thread& t, const Args& args, const TensorTiles::Tile& tile,
                             const Array& shared, const Sums& sums) {
    const int own = t.thread() / 32 * StagedSums::floats;
    GRAFT_UNROLL
    for (int j = 0; j < columns; j += StagedSums::columns)
      store_staged<true>(
          t, shared, own,
          [&](int i) {
            return FragmentC{{sums.v[j / 2 + 4 * i], sums.v[j / 2 + 4 * i + 1],
                              sums.v[j / 2 + 4 * i + 2], sums.v[j / 2 + 4 * i + 3]}};
          },
          args.pass.output, tile.part, tile.row + t.thread() / 32 * 16, tile.column + j,
          args.tiles.m, args.tiles.n);
  }
};

}  // namespace graft::cuda
