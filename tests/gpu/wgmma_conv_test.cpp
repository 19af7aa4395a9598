// Convolution by the instructions of sm_90a on a GPU that has them (others run these cases on their
// own kernels): the emulator's cases, and sizes that it would take minutes for.
#include <gtest/gtest.h>

#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/kernels/cuda/wgmma_cases.h"

namespace graft {
namespace {

using ops::square_window;
using test::conv_case;

std::vector<test::OpCase> large_cases() {
  return {
      conv_case("k1_large", {4, 256, 14, 14}, {136, 256, 1, 1}, {}, true),
      conv_case("k3_large", {3, 64, 28, 28}, {128, 64, 3, 3}, {square_window(3, 1, 1)}, true),
      conv_case("k3_half_a_tile_beyond", {2, 192, 7, 7}, {64, 192, 3, 3}, {square_window(3, 1, 1)}),
      conv_case("k3_stride2_large", {3, 72, 29, 27}, {64, 72, 3, 3}, {square_window(3, 2, 1)}),
  };
}

GRAFT_DEVICE_CASES(WgmmaConv, test::wgmma_conv_cases());
INSTANTIATE_TEST_SUITE_P(WgmmaConvLarge, WgmmaConvOnDevice, ::testing::ValuesIn(large_cases()),
                         test::op_case_name);

}  // namespace
}  // namespace graft
