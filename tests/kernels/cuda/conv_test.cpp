// Convolution and linear layers on the device, and the index maths of their matrix products.
#include "graft/layers/functional/conv.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/device/product.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft {
namespace {

using ops::ConvAttributes;
using ops::square_window;
using test::conv_case;
using test::linear_case;
using test::OpCase;

ConvAttributes uneven() {
  ConvAttributes attributes{square_window(3, 1, 1)};
  attributes.window.stride = {2, 1, 1};
  attributes.window.pad_begin = {0, 2, 0};
  attributes.window.pad_end = {1, 0, 0};
  attributes.window.dilation = {1, 2, 1};
  return attributes;
}

std::vector<OpCase> conv_cases() {
  return {
      conv_case("k1", {2, 5, 3, 4}, {7, 5, 1, 1}, {}),
      conv_case("k3", {2, 3, 5, 6}, {4, 3, 3, 3}, {square_window(3, 1, 1)}, true),
      conv_case("k3_stride2", {2, 8, 7, 6}, {16, 8, 3, 3}, {square_window(3, 2, 1)}),
      conv_case("k7_stem", {1, 3, 11, 13}, {8, 3, 7, 7}, {square_window(7, 2, 3)}),
      conv_case("uneven", {2, 2, 8, 9}, {3, 2, 3, 3}, uneven(), true),
      conv_case("groups", {2, 6, 5, 4}, {4, 3, 3, 3}, {square_window(3, 1, 1), 2}, true),
      conv_case("depthwise", {2, 4, 6, 5}, {4, 1, 3, 3}, {square_window(3, 1, 1), 4}),
      conv_case("depthwise_in_groups_of_8", {2, 16, 7, 6}, {16, 1, 3, 3},
                {square_window(3, 2, 1), 16}, true),
      conv_case("depthwise_k5", {1, 8, 7, 6}, {8, 1, 5, 5}, {square_window(5, 2, 2), 8}, true),
      conv_case("depthwise_k5_dilated", {1, 3, 9, 8}, {3, 1, 5, 5}, {square_window(5, 1, 3, 2), 3},
                true),
      conv_case("depthwise_several_chunks", {3, 2, 20, 20}, {2, 1, 2, 2},
                {square_window(2, 1, 0), 2}),
      conv_case("two_filters_a_channel", {2, 3, 5, 4}, {6, 1, 3, 3}, {square_window(3, 1, 1), 3}),
      conv_case("several_tiles", {2, 6, 12, 12}, {70, 6, 1, 1}, {}, true),
      conv_case("several_parts_of_pixels", {3, 2, 20, 20}, {3, 2, 3, 3}, {square_window(3, 1, 1)}),
  };
}

std::vector<OpCase> linear_cases() {
  return {linear_case("head", 4, 33, 10, true), linear_case("no_bias", 3, 5, 7, false),
          linear_case("several_tiles", 70, 20, 66, true), linear_case("one_row", 1, 64, 3, true)};
}

// Every output tile once, and every step of k in one part.
TEST(CudaProduct, TilesCoverTheResultOnce) {
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                {64, 64, 16},
                                {65, 63, 17},
                                {130, 200, 1000}}) {
    const cuda::ProductTiles s{m, n, k, 3, 400};
    std::set<std::tuple<int64_t, int64_t, int64_t, int64_t>> seen;
    for (int64_t block = 0; block < s.blocks(); ++block) {
      const auto t = s.tile(block);
      ASSERT_TRUE(t.row < m && t.column < n && t.product < 3 && t.part * s.part < k &&
                  t.row % 64 == 0 && t.column % 64 == 0);
      ASSERT_TRUE(seen.insert({t.product, t.part, t.row, t.column}).second);
    }
    ASSERT_EQ(static_cast<int64_t>(seen.size()),
              3 * ceil_div(m, int64_t{64}) * ceil_div(n, int64_t{64}) * ceil_div(k, int64_t{400}));
  }
}

// For every pixel and tap of many shapes: the element of x is the one of the definition, and
// backward's question ("whose tap lies on this pixel?") is its inverse.
TEST(CudaConvGeometry, AgreesWithTheDefinition) {
  for (const int64_t stride : {1, 2, 3})
    for (const int64_t pad : {0, 1, 2})
      for (const int64_t dilation : {1, 2})
        for (const int64_t kernel : {1, 2, 3})
          for (const int64_t groups : {1, 2}) {
            const Shape x{2, 4, 6, 7}, filters{6, 4 / groups, kernel, kernel};
            const ConvAttributes attributes{square_window(kernel, stride, pad, dilation), groups};
            const Shape y = ops::conv_output_shape(x, filters, attributes);
            const auto g = cuda::ConvGeometry::of(x, y, Tensor::empty(filters), attributes);
            const auto last = cuda::ConvGeometry::of(
                x, y, Tensor::empty(filters, {.format = MemoryFormat::channels_last}), attributes);
            std::set<int64_t> weights, weights_last;
            for (int64_t t = 0; t < g.taps(); ++t) {
              const auto tap = g.tap(t);
              ASSERT_TRUE(tap.r < kernel && tap.s < kernel && tap.c < g.group_c());
              for (int64_t k = 0; k < 6; ++k) {
                ASSERT_EQ(g.weight_at(k, tap),
                          ((k * g.group_c() + tap.c) * kernel + tap.r) * kernel + tap.s);
                weights.insert(g.weight_at(k, tap)), weights_last.insert(last.weight_at(k, tap));
              }
              for (int64_t m = 0; m < g.pixels(); ++m) {
                const int64_t q = m % y[3], p = m / y[3] % y[2], n = m / y[3] / y[2];
                const int64_t row = p * stride + tap.r * dilation - pad,
                              column = q * stride + tap.s * dilation - pad;
                const bool inside = row >= 0 && row < 6 && column >= 0 && column < 7;
                for (int64_t group = 0; group < groups; ++group)
                  ASSERT_EQ(
                      g.x_at(group, m, tap),
                      inside ? ((n * 6 + row) * 7 + column) * 4 + group * g.group_c() + tap.c : -1);
                if (inside) {
                  ASSERT_EQ(g.pixel_under((n * 6 + row) * 7 + column, tap.r, tap.s), m);
                }
              }
              int64_t reached = 0;
              for (int64_t i = 0; i < 2 * 6 * 7; ++i)
                reached += g.pixel_under(i, tap.r, tap.s) >= 0;
              int64_t reads = 0;
              for (int64_t m = 0; m < g.pixels(); ++m) reads += g.x_at(0, m, tap) >= 0;
              ASSERT_EQ(reached, reads);
            }
            ASSERT_EQ(static_cast<int64_t>(weights.size()), filters.numel());
            ASSERT_EQ(static_cast<int64_t>(weights_last.size()), filters.numel());
            ASSERT_EQ(*weights.rbegin(), filters.numel() - 1);
            ASSERT_EQ(*weights_last.rbegin(), filters.numel() - 1);
          }
}

}  // namespace

// Without tensor cores: 16-bit images on plain arithmetic too.
class PlainConvOnDevice : public ::testing::TestWithParam<OpCase> {};
TEST_P(PlainConvOnDevice, AgreesWithReference) {
  struct Plain {
    ExecContext context{1};
    std::optional<ScopedExecContext> scope;
    test::TestDevice device{test::Products::own};
    Plain() {
      context.set_kernel_filter([](auto, auto kernel) {
        return kernel != "cuda_tensor" && kernel != "cudnn" && kernel != "cublaslt";
      });
      scope.emplace(context);
    }
  };
  test::expect_device_agrees(GetParam(), [] { return std::make_shared<Plain>(); });
}
INSTANTIATE_TEST_SUITE_P(Conv, PlainConvOnDevice, ::testing::ValuesIn(conv_cases()),
                         test::op_case_name);
INSTANTIATE_TEST_SUITE_P(Linear, PlainConvOnDevice, ::testing::ValuesIn(linear_cases()),
                         test::op_case_name);

GRAFT_DEVICE_CASES(Conv, conv_cases());
GRAFT_DEVICE_CASES(Linear, linear_cases());

}  // namespace graft
