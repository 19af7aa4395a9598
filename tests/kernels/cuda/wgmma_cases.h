// Cases of convolution for the kernels of compute capability 9.0: channels and filters in groups of
// eight. Small: an emulated step of 128 x 64 x 64 takes milliseconds.
#pragma once
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft::test {

inline std::vector<OpCase> wgmma_conv_cases() {
  using ops::square_window;
  ops::ConvAttributes uneven{square_window(3, 1, 1)};
  uneven.window.stride = {2, 3, 1};
  uneven.window.pad_begin = {0, 2, 0};
  uneven.window.pad_end = {1, 0, 0};
  uneven.window.dilation = {1, 2, 1};
  return {
      conv_case("k1", {2, 16, 3, 5}, {24, 16, 1, 1}, {}, true),
      conv_case("k1_stride2", {1, 8, 7, 6}, {16, 8, 1, 1}, {square_window(1, 2, 0)}),
      conv_case("k1_several_steps", {1, 200, 3, 3}, {8, 200, 1, 1}, {}),
      // backward-weight's last box starts wholly beyond the channels
      conv_case("k1_half_a_tile_beyond", {1, 192, 3, 3}, {8, 192, 1, 1}, {}),
      conv_case("k3", {1, 8, 6, 5}, {16, 8, 3, 3}, {square_window(3, 1, 1)}, true),
      conv_case("k3_stride2", {1, 16, 9, 7}, {8, 16, 3, 3}, {square_window(3, 2, 1)}),
      conv_case("k3_dilated", {1, 8, 9, 8}, {8, 8, 3, 3}, {square_window(3, 1, 2, 2)}),
      conv_case("k3_wide", {1, 8, 5, 4}, {72, 8, 3, 3}, {square_window(3, 1, 1)}),
      conv_case("uneven", {2, 8, 8, 9}, {8, 8, 3, 3}, uneven, true),
      conv_case("several_tiles", {1, 72, 12, 11}, {136, 72, 1, 1}, {}, true),
      conv_case("several_parts_of_pixels", {3, 8, 16, 15}, {8, 8, 1, 1}, {}),
  };
}

}  // namespace graft::test
