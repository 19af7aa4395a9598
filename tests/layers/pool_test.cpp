// Max, average, adaptive average and global average pooling.
#include "graft/layers/functional/pool.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

ops::Window uneven() {  // differs on every axis and side
  ops::Window w;
  w.kernel = {3, 2, 2};
  w.stride = {1, 2, 1};
  w.pad_begin = {0, 1, 1};
  w.pad_end = {2, 0, 0};
  return w;
}

ops::Window line(int64_t kernel, int64_t stride, int64_t padding) {
  ops::Window w;
  w.axes = 1;
  w.kernel[0] = kernel, w.stride[0] = stride, w.pad_begin[0] = w.pad_end[0] = padding;
  return w;
}

ops::Window volume() {
  ops::Window w = uneven();
  w.axes = 3;
  return w;
}

OpCase max_case(std::string name, const Shape& x, const ops::MaxPoolAttributes& a) {
  OpCase op{std::move(name), {activation(x)}, [a](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::max_pool(in[0], a)};
            }};
  op.forward_dtypes = {DType::bf16, DType::f16, DType::i64, DType::i32, DType::i8, DType::u8};
  return op;
}
OpCase average_case(std::string name, const Shape& x, const ops::AveragePoolAttributes& a) {
  return {std::move(name), {activation(x)}, [a](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::average_pool(in[0], a)};
          }};
}
OpCase adaptive_case(std::string name, const Shape& x, const ops::Spatial& output) {
  return {std::move(name), {activation(x)}, [output](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::adaptive_average_pool(in[0], {output})};
          }};
}

std::vector<OpCase> cases() {
  using ops::square_window;
  return test::per_sample({
      max_case("max_k2", {2, 3, 4, 6}, {square_window(2, 2)}),
      max_case("max_k3_stride2_stem", {2, 3, 7, 8}, {square_window(3, 2, 1)}),
      max_case("max_k3_overlapping", {1, 2, 5, 4}, {square_window(3, 1, 1)}),
      max_case("max_caffe_stem", {1, 3, 8, 6},
               {{2, {3, 3, 1}, {2, 2, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 0}}}),
      max_case("max_ceil", {1, 2, 6, 7}, {square_window(3, 2), true}),
      max_case("max_ceil_padded", {2, 2, 6, 5}, {square_window(3, 2, 1), true}),
      max_case("max_ceil_stride3", {1, 2, 7, 9}, {square_window(2, 3), true}),
      max_case("max_dilated", {1, 2, 8, 7}, {square_window(3, 1, 1, 2)}),
      max_case("max_asymmetric", {2, 3, 5, 6}, {uneven()}),
      max_case("max_one_pixel", {1, 5, 1, 1}, {square_window(1, 1)}),
      max_case("max_many_channels", {1, 35, 4, 3}, {square_window(3, 2, 1)}),
      max_case("max_line", {2, 3, 9}, {line(3, 2, 1)}),
      max_case("max_volume", {1, 2, 4, 5, 3}, {volume()}),
      average_case("average_k2", {2, 3, 4, 6}, {square_window(2, 2)}),
      average_case("average_padded", {2, 3, 5, 6}, {square_window(3, 2, 1)}),
      average_case("average_padding_not_counted", {2, 3, 5, 6},
                   {square_window(3, 2, 1), false, false}),
      average_case("average_ceil", {1, 2, 6, 7}, {square_window(3, 2), true}),
      average_case("average_ceil_padded", {2, 2, 6, 5}, {square_window(3, 2, 1), true}),
      average_case("average_ceil_padded_not_counted", {2, 2, 6, 5},
                   {square_window(3, 2, 1), true, false}),
      average_case("average_asymmetric", {2, 3, 5, 6}, {uneven()}),
      average_case("average_option_a_shortcut", {1, 4, 5, 6}, {square_window(1, 2)}),
      average_case("average_line", {2, 3, 9}, {line(4, 3, 2), false, false}),
      average_case("average_volume", {1, 2, 4, 5, 3}, {volume()}),
      average_case("average_many_channels", {1, 35, 4, 3}, {square_window(2, 2)}),
      adaptive_case("adaptive_even", {2, 3, 6, 4}, {3, 2, 1}),
      adaptive_case("adaptive_uneven", {1, 3, 7, 5}, {3, 4, 1}),
      adaptive_case("adaptive_up", {2, 2, 2, 3}, {5, 4, 1}),
      adaptive_case("adaptive_vgg", {1, 2, 4, 3}, {7, 7, 1}),
      adaptive_case("adaptive_global", {2, 5, 3, 4}, {1, 1, 1}),
      adaptive_case("adaptive_one_pixel", {1, 5, 1, 1}, {1, 1, 1}),
      adaptive_case("adaptive_many_channels", {2, 35, 3, 3}, {1, 1, 1}),
      adaptive_case("adaptive_line", {2, 3, 7}, {3, 1, 1}),
      adaptive_case("adaptive_volume", {1, 2, 5, 4, 3}, {2, 3, 2}),
      test::kernels_only(max_case("large_max", {2, 72, 9, 11}, {square_window(3, 2, 1)})),
      test::kernels_only(average_case("large_average", {2, 72, 9, 11}, {square_window(3, 2, 1)})),
      test::kernels_only(adaptive_case("large_global", {3, 130, 7, 7}, {1, 1, 1})),
      test::kernels_only(adaptive_case("large_global_map", {1, 40, 31, 33}, {1, 1, 1})),
  });
}

GRAFT_OP_CASES(Pool, cases(), "pool.safetensors");

TEST(Pool, FirstMaximumTakesTheGradient) {
  const Tensor x = Tensor::of<float>({1, 1, 2, 3}, {2, 5, 5, 5, 1, 5});
  set_requires_grad(x, true);
  const Tensor y = functional::max_pool(x, {ops::square_window(2, 1)});
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{5, 5}));
  backward(y, Tensor::of<float>({1, 1, 1, 2}, {1, 10}));
  EXPECT_EQ(grad_of(x).to_doubles(), (std::vector<double>{0, 11, 0, 0, 0, 0}));
}

TEST(Pool, PaddingNeverWinsAMaximumAndNaNsSpread) {
  const double nan = std::nan("");
  const Tensor x = Tensor::of<double>({1, 1, 2, 2}, {-3, -7, nan, -2});
  const std::vector<double> y = functional::max_pool(x, {ops::square_window(2, 1, 1)}).to_doubles();
  EXPECT_EQ(y[0], -3);
  EXPECT_EQ(y[1], -3);
  EXPECT_EQ(y[2], -7);
  for (const size_t i : {3u, 4u, 6u, 7u}) EXPECT_TRUE(std::isnan(y[i])) << i;
  EXPECT_EQ(y[5], -2);
  EXPECT_EQ(y[8], -2);
}

TEST(Pool, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 2, 3, 3});
  EXPECT_THROW(functional::max_pool(x, {ops::square_window(4, 1)}), Error);
  EXPECT_THROW(functional::max_pool(x, {ops::square_window(2, 1, 2)}),
               Error);  // a window inside the padding
  EXPECT_THROW(functional::max_pool(x, {ops::square_window(2, 0)}), Error);
  EXPECT_THROW(functional::average_pool(Tensor::zeros({1, 2, 3}), {ops::square_window(2)}), Error);
  EXPECT_THROW(functional::adaptive_average_pool(x, {{0, 1, 1}}), Error);
  EXPECT_THROW(functional::adaptive_average_pool(Tensor::zeros({2, 3}), {}), Error);
}

}  // namespace
}  // namespace graft
