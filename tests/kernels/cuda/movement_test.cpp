// Reductions, movements, resampling and dropout on the device.
#include "graft/layers/functional/movement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/kernels/cuda/custom/axes.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/dropout.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using ops::Reduce;
using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;
using Inputs = std::span<const Tensor>;

template <class F>
OpCase one(std::string name, OpInput x, F function) {
  return {std::move(name), {std::move(x)}, [function](Inputs in) {
            return std::vector<Tensor>{function(in[0])};
          }};
}

OpCase reduce_case(std::string name, const Shape& x, const ops::ReduceAttributes& attributes,
                   double low = -1) {
  return one(std::move(name), activation(x, low, 1.5),
             [attributes](const Tensor& t) { return functional::reduce(t, attributes); });
}
std::vector<OpCase> reduce_cases() {
  return {
      reduce_case("sum_all_in_blocks", {2, 3, 9, 5}, {Reduce::sum}),
      reduce_case("sum_rows", {5, 7}, {Reduce::sum, {1}}),
      reduce_case("sum_columns_kept", {5, 7}, {Reduce::sum, {0}, true}),
      reduce_case("sum_two_axes", {2, 3, 4, 3}, {Reduce::sum, {0, 2}}),
      reduce_case("mean_spatial", {2, 3, 4, 5}, {Reduce::mean, {2, 3}}),
      reduce_case("mean_long", {2, 300}, {Reduce::mean, {-1}}),
      reduce_case("mean_channels_kept", {2, 3, 4, 5}, {Reduce::mean, {1}, true}),
      reduce_case("max_all", {2, 3, 9, 3}, {Reduce::max}),
      reduce_case("max_channels", {2, 5, 3, 3}, {Reduce::max, {1}}),
      reduce_case("min_two_axes", {2, 3, 4, 3}, {Reduce::min, {1, 3}}),
      reduce_case("l1", {3, 5, 2}, {Reduce::l1, {1}}),
      reduce_case("l2_long", {2, 70}, {Reduce::l2, {1}}),
      reduce_case("sum_square", {2, 3, 4, 3}, {Reduce::sum_square, {2, 3}}),
      reduce_case("prod", {3, 5, 2}, {Reduce::prod, {1}}),
      reduce_case("prod_long", {2, 70}, {Reduce::prod, {1}}, 0.8),
      reduce_case("log_sum", {3, 6}, {Reduce::log_sum, {1}}, 0.5),
      reduce_case("log_sum_exp", {3, 6}, {Reduce::log_sum_exp, {1}}),
      reduce_case("log_sum_exp_long", {2, 3, 40, 2}, {Reduce::log_sum_exp, {2, 3}}),
      reduce_case("volume", {2, 3, 2, 3, 2}, {Reduce::sum, {1, 3}}),
      reduce_case("scalar", Shape{}, {Reduce::sum}),
  };
}

OpCase concat_case(std::string name, std::vector<OpInput> inputs, int axis) {
  return {std::move(name), std::move(inputs),
          [axis](Inputs in) { return std::vector<Tensor>{functional::concat(in, axis)}; }};
}
OpCase pad_case(std::string name, const Shape& x, const ops::PadAttributes& attributes) {
  return one(std::move(name), activation(x),
             [attributes](const Tensor& t) { return functional::pad(t, attributes); });
}
OpCase take_case(std::string name, OpInput x, const ops::TakeAttributes& attributes) {
  return one(std::move(name), std::move(x),
             [attributes](const Tensor& t) { return functional::take(t, attributes); });
}
std::vector<OpCase> movement_cases() {
  const ops::AxisTake whole0{.from = 0, .whole = true}, whole1{.from = 1, .whole = true};
  return {
      concat_case("concat_channels",
                  {activation({2, 3, 4, 3}), activation({2, 1, 4, 3}), activation({2, 4, 4, 3})},
                  1),
      concat_case("concat_channels_in_groups",
                  {activation({2, 8, 2, 3}), activation({2, 16, 2, 3})}, 1),
      concat_case("concat_batch", {activation({1, 3, 2, 3}), activation({2, 3, 2, 3})}, 0),
      concat_case("concat_columns", {activation({2, 3, 2, 3}), activation({2, 3, 2, 2})}, 3),
      concat_case("concat_one_frozen", {fixed(activation({2, 2, 3, 3})), activation({2, 3, 3, 3})},
                  1),
      concat_case("concat_vectors", {activation({5}), activation({3}), activation({1})}, 0),
      pad_case("pad_image", {1, 2, 3, 4}, {{0, 0, 1, 2}, {0, 0, 0, 3}, 0}),
      pad_case("pad_channels", {2, 3, 2, 3}, {{0, 2, 0, 0}, {0, 3, 0, 0}, 0}),
      pad_case("pad_value", {2, 3}, {{1, 0}, {0, 2}, 1}),
      pad_case("pad_crop", {1, 2, 5, 6}, {{0, 0, -1, -2}, {0, 0, -2, 1}, 0}),
      pad_case("pad_volume", {1, 2, 2, 3, 2}, {{0, 0, 1, 0, 2}, {0, 0, 1, 1, 0}, 0}),
      one("transpose", activation({3, 4}),
          [](const Tensor& t) { return functional::transpose(t); }),
      one("transpose_image", activation({2, 3, 4, 5}),
          [](const Tensor& t) {
            return functional::transpose(t, std::vector<int>{0, 2, 3, 1});
          }),
      one("expand", activation({1, 3, 1}),
          [](const Tensor& t) {
            return functional::expand(t, {2, 3, 4});
          }),
      one("tile", activation({2, 3}),
          [](const Tensor& t) {
            return functional::tile(t, std::vector<int64_t>{2, 3});
          }),
      one("reverse", activation({2, 3, 4, 3}),
          [](const Tensor& t) {
            return functional::reverse(t, std::vector<int>{1, 3});
          }),
      take_case("slice_with_steps", activation({3, 7}),
                {{whole0, {.from = 1, .positions = {5, 3, 1}}}}),
      take_case(
          "any_positions", activation({4, 5}),
          {{{.from = 0, .positions = {3, 0, 0, -1, 2}}, {.from = 1, .positions = {4, 4, 1}}}, 0.5}),
      take_case("swapped_and_added", activation({3, 4}),
                {{{.from = 1, .positions = {0, 2, 2}},
                  {.from = -1, .extent = 2},
                  {.from = 0, .positions = {2, 0}}}}),
      take_case("image_channels", activation({2, 6, 3, 2}),
                {{whole0,
                  {.from = 1, .positions = {5, 0, 3}},
                  {.from = 2, .whole = true},
                  {.from = 3, .whole = true}}}),
      take_case("nothing_taken", activation({2, 3}),
                {{{.from = 0, .positions = {-1, -1}}, whole1}, 2}),
  };
}

std::vector<OpCase> resample_cases() {
  const auto resize = [](const Shape& x, std::vector<int64_t> extents, functional::ResizeMode mode,
                         bool corners) {
    return [x, extents, mode, corners](const Tensor& t) {
      return functional::interpolate(t, extents, mode, corners);
    };
  };
  const ops::ResampleAttributes uneven{.axis = 1,
                                       .first = {0, 2, 2, 3, 6},
                                       .positions = {1, 0, 4, 2, 2, 3},
                                       .weights = {0.5, -1, 2, 0.25, 1, 3},
                                       .fill = 0.75};
  using functional::ResizeMode;
  return {
      one("nearest_up", activation({2, 3, 3, 4}), resize({}, {6, 8}, ResizeMode::nearest, false)),
      one("bilinear_up", activation({1, 8, 3, 4}), resize({}, {5, 9}, ResizeMode::linear, false)),
      one("bilinear_corners", activation({2, 2, 4, 3}),
          resize({}, {7, 5}, ResizeMode::linear, true)),
      one("bicubic", activation({1, 2, 5, 4}), resize({}, {3, 7}, ResizeMode::cubic, false)),
      one("uneven_lists", activation({3, 5}),
          [uneven](const Tensor& t) { return functional::resample(t, uneven); }),
  };
}

std::vector<OpCase> dropout_cases() {
  const auto drop = [](double p) {
    return [p](const Tensor& t) {
      return functional::dropout(t, {.probability = p, .seed = 3, .epoch = 1, .step = 2}, true);
    };
  };
  return {one("half", activation({3, 17}), drop(0.5)),
          one("image", activation({2, 3, 5, 4}), drop(0.2)),
          one("image_in_groups", activation({1, 16, 3, 2}), drop(0.7)),
          one("image_in_quads", activation({2, 24, 2, 6}), drop(0.4)),
          one("long", activation({5, 64}), drop(0.9))};
}

// Every element of tensors in both orders, and neighbours merged: images of one order walk along
// one axis.
TEST(CudaAxes, WalkMemory) {
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor t = Tensor::zeros({2, 3, 4, 5}, {.format = format});
    cuda::Axes all, logical;
    for (int place = 0; place < 4; ++place)
      all.add(t.shape()[cuda::axis_in_memory(t, place)],
              cuda::stride_in_memory(t, cuda::axis_in_memory(t, place)));
    EXPECT_EQ(all.count, 1);
    for (int axis = 3; axis >= 0; --axis)
      logical.add(t.shape()[axis], cuda::stride_in_memory(t, axis));
    EXPECT_EQ(logical.count, format == MemoryFormat::contiguous ? 1 : 3);  // columns and rows merge
    std::vector<int64_t> seen;
    for (int64_t i = 0; i < t.numel(); ++i) {
      ASSERT_EQ(all.offset(i), i);
      const int64_t w = i % 5, h = i / 5 % 4, c = i / 20 % 3, n = i / 60;
      ASSERT_EQ(logical.offset(i),
                format == MemoryFormat::contiguous ? i : ((n * 4 + h) * 5 + w) * 3 + c);
      seen.push_back(logical.offset(i));
    }
    std::sort(seen.begin(), seen.end());
    for (int64_t i = 0; i < t.numel(); ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i);
  }
}

// A NaN anywhere is the extreme, infinities are what they are, and equal extremes share the
// gradient.
TEST(CudaReduce, ExtremesOfOddValues) {
  test::TestDevice opened;
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const auto extreme = [](Reduce f, const std::vector<float>& v) {
    return functional::reduce(
               to_device(Tensor::of<float>({static_cast<int64_t>(v.size())}, v), test::kCuda), {f})
        .item();
  };
  EXPECT_EQ(extreme(Reduce::max, {-inf, -inf}), -inf);
  EXPECT_EQ(extreme(Reduce::min, {inf, inf}), inf);
  std::vector<float> many(200, 1);
  many[77] = nan;
  EXPECT_TRUE(std::isnan(extreme(Reduce::max, {1, nan, 2})) &&
              std::isnan(extreme(Reduce::max, many)) && std::isnan(extreme(Reduce::min, many)));
  EXPECT_EQ(extreme(Reduce::log_sum_exp, {-inf, -inf}), -inf);
  EXPECT_NEAR(extreme(Reduce::log_sum_exp, {1000, 1000}), 1000 + std::log(2.), 1e-3);
}

}  // namespace

GRAFT_DEVICE_CASES(Reduce, reduce_cases());
GRAFT_DEVICE_CASES(Movement, movement_cases());
GRAFT_DEVICE_CASES(Resample, resample_cases());
GRAFT_DEVICE_CASES(Dropout, dropout_cases());

}  // namespace graft
