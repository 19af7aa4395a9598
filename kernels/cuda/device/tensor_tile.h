// How a tile of a matrix product lies in shared memory, so that neither filling it, nor reading
// fragments from it, nor staging its result makes two threads wait for one bank. Tested
// exhaustively.
#pragma once
#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

// A tile of A or B: `lines` rows of A (columns of B) by `depth` steps of the sum, in 16-byte groups
// of eight elements that run along the depth or along the lines, as they do in global memory. A
// row's groups change places with the row.
template <int lines_, bool along_depth>
struct OperandTile {
  static constexpr int lines = lines_, depth = 32;
  static constexpr int rows = along_depth ? lines : depth,
                       across = (along_depth ? depth : lines) / 8;  // of groups
  static constexpr int groups = rows * across;

  GRAFT_HD static constexpr int place(int row, int group) {
    if constexpr (across >= 8)
      return row * across + (group ^ (row % 8));
    else
      return row * across + (group ^ (row / (8 / across) % across));
  }
  // Which group `lane` gives to load_matrices() for lines [line, line + 16) and steps [step, step +
  // 16). The four matrices: first lines and steps, later lines, later steps, both.
  GRAFT_HD static constexpr int lane_row(int lane, int line, int step) {
    const int i = lane % 8, later_line = line + lane / 8 % 2 * 8, later_step = step + lane / 16 * 8;
    return along_depth ? place(later_line + i, later_step / 8)
                       : place(later_step + i, later_line / 8);
  }
};

// 16 x 32 sums of one warp on their way from fragments to rows.
struct StagedSums {
  static constexpr int rows = 16, columns = 32, pitch = 40, floats = rows * pitch;
  // Where a lane puts its pair of row lane / 4 + 8 * half of the fragment whose first column is 8 *
  // j; in pairs.
  GRAFT_HD static constexpr int pair(int lane, int j, int half) {
    return ((lane / 4 + 8 * half) * pitch + 8 * j + lane % 4 * 2) / 2;
  }
  // Where it reads columns [8 * (lane % 4), + 8) of row lane / 4 + 8 * half, in groups of four, and
  // which of the two first.
  GRAFT_HD static constexpr int quad(int lane, int half) {
    return ((lane / 4 + 8 * half) * pitch + lane % 4 * 8) / 4;
  }
  GRAFT_HD static constexpr int first_quad(int lane) { return lane / 4 % 2; }
};

}  // namespace graft::cuda
