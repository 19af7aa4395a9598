// From sums as tensor cores leave them, in fragments, to rows as they are stored: through shared
// memory, so that what is stored together lies together.
#pragma once
#include "graft/kernels/cuda/device/tensor_core.h"
#include "graft/kernels/cuda/device/tensor_tile.h"

namespace graft::cuda {

// Stores 16 x 32 sums of a warp: fragment(j) is the FragmentC of columns [8 j, 8 j + 8), their
// first element is (row, column) of `rows` x `columns`. `own`: the warp's place in shared memory,
// in floats. `output` has store(part, row, column, v), which takes 8 neighbours of a row where
// `grouped` (then columns is a multiple of 8), else one.
template <bool grouped, class Thread, class Array, class Fragment, class Output>
GRAFT_HD void store_staged(Thread& t, const Array& shared, int own, const Fragment& fragment,
                           const Output& output, int part, int64_t row, int64_t column,
                           int64_t rows, int64_t columns) {
  const auto pairs = shared.template as<Group<float, 2>>();
  const auto quads = shared.template as<Group<float, 4>>();
  const int lane = t.lane(), other = StagedSums::first_quad(lane);
  column += lane % 4 * 8;
  GRAFT_UNROLL
  for (int j = 0; j < StagedSums::columns / 8; ++j) {
    const FragmentC c = fragment(j);
    pairs.set(own / 2 + StagedSums::pair(lane, j, 0), {{c.v[0], c.v[1]}});
    pairs.set(own / 2 + StagedSums::pair(lane, j, 1), {{c.v[2], c.v[3]}});
  }
  t.sync_warp();
  GRAFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    const Group<float, 4> x = quads.get(own / 4 + StagedSums::quad(lane, half) + other),
                          y = quads.get(own / 4 + StagedSums::quad(lane, half) + 1 - other);
    float v[8];
    GRAFT_UNROLL
    for (int j = 0; j < 4; ++j) v[j] = other ? y.v[j] : x.v[j], v[4 + j] = other ? x.v[j] : y.v[j];
    const int64_t i = row + 8 * half + lane / 4;
    if (i >= rows) continue;
    if constexpr (grouped) {
      if (column < columns) output.store(part, i, column, v);
    } else {
      GRAFT_UNROLL
      for (int j = 0; j < 8; ++j) {
        const float one[1] = {v[j]};
        if (column + j < columns) output.store(part, i, column + j, one);
      }
    }
  }
  t.sync_warp();
}

}  // namespace graft::cuda
