// Convolution and linear layers on tensor cores, run on the emulator beside the reference.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/conv.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft {
namespace {

using ops::ConvAttributes;
using ops::square_window;
using test::conv_case;
using test::EmulatedDevice;
using test::kCuda;
using test::linear_case;
using test::OpCase;

ConvAttributes uneven() {
  ConvAttributes attributes{square_window(3, 1, 1)};
  attributes.window.stride = {2, 3, 1};
  attributes.window.pad_begin = {0, 2, 0};
  attributes.window.pad_end = {1, 0, 0};
  attributes.window.dilation = {1, 2, 1};
  return attributes;
}

// In groups of eight, and with channels or filters that are no multiple of eight.
std::vector<OpCase> tensor_cases() {
  return {
      conv_case("k1", {2, 16, 3, 5}, {24, 16, 1, 1}, {}, true),
      conv_case("k1_stride2", {1, 8, 7, 6}, {16, 8, 1, 1}, {square_window(1, 2, 0)}),
      conv_case("k3", {1, 8, 6, 5}, {16, 8, 3, 3}, {square_window(3, 1, 1)}, true),
      conv_case("k3_stride2", {1, 16, 9, 7}, {8, 16, 3, 3}, {square_window(3, 2, 1)}),
      conv_case("k3_dilated", {1, 8, 9, 8}, {8, 8, 3, 3}, {square_window(3, 1, 2, 2)}),
      conv_case("k7_stem", {1, 3, 13, 11}, {8, 3, 7, 7}, {square_window(7, 2, 3)}),
      conv_case("uneven", {2, 8, 8, 9}, {8, 8, 3, 3}, uneven(), true),
      conv_case("odd_channels", {1, 5, 6, 5}, {16, 5, 3, 3}, {square_window(3, 1, 1)}),
      conv_case("odd_filters", {1, 8, 6, 5}, {11, 8, 3, 3}, {square_window(3, 2, 1)}, true),
      conv_case("wide_tiles", {1, 72, 12, 11}, {136, 72, 1, 1}, {}, true),
      conv_case("wide_tiles_k3", {1, 16, 5, 4}, {72, 16, 3, 3}, {square_window(3, 1, 1)}),
      conv_case("several_parts_of_pixels", {3, 8, 20, 20}, {8, 8, 1, 1}, {}),
  };
}

std::vector<OpCase> tensor_linear_cases() {
  return {linear_case("head", 4, 40, 16, true), linear_case("odd", 3, 33, 10, true),
          linear_case("several_tiles", 130, 24, 136, false)};
}

class TensorConvOnDevice : public ::testing::TestWithParam<OpCase> {};
TEST_P(TensorConvOnDevice, AgreesWithReference) {
  const std::set<std::string> ran = test::expect_emulated_agrees(GetParam());
  for (const char* kernel :
       {"tensor-core forward", "tensor-core backward-data", "tensor-core backward-weight"})
    EXPECT_TRUE(ran.contains(kernel)) << kernel;
}
INSTANTIATE_TEST_SUITE_P(Conv, TensorConvOnDevice, ::testing::ValuesIn(tensor_cases()),
                         test::op_case_name);
INSTANTIATE_TEST_SUITE_P(Linear, TensorConvOnDevice, ::testing::ValuesIn(tensor_linear_cases()),
                         test::op_case_name);

Tensor image(const Shape& shape, double low, double high, uint64_t stream) {
  return test::distinct_values(shape, low, high, stream)
      .to(DType::bf16)
      .to(MemoryFormat::channels_last);
}

// Bias, residual and activation in one launch; weights in both orders.
TEST(TensorConv, PlansRunTheFusedPass) {
  for (const int64_t filters : {16, 11})
    for (const auto activation :
         {ops::FusedActivation::none, ops::FusedActivation::relu, ops::FusedActivation::relu6})
      for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        const Tensor x = image({2, 8, 5, 6}, -1, 1, 1),
                     residual = image({2, filters, 5, 6}, -3, 9, 4);
        const Tensor weight = test::distinct_values({filters, 8, 3, 3}, -0.5, 0.5, 2)
                                  .to(DType::bf16)
                                  .to(DType::f32)
                                  .to(format),
                     bias = test::distinct_values({filters}, -1, 1, 3).to(DType::f32);
        const ops::FusedConvAttributes attributes{{square_window(3, 1, 1)}, activation};
        const auto run = [&](Device device, DType dtype) {
          const Tensor x_there = to_device(x.to(dtype), device), w = to_device(weight, device),
                       b = to_device(bias, device), r = to_device(residual.to(dtype), device);
          Tensor y = Tensor::empty(
              residual.shape(),
              {.dtype = dtype, .format = MemoryFormat::channels_last, .device = device});
          kernels_for<ops::FusedConvKernels>(x_there).forward(
              current_context(), {x_there, w, nullptr, &b, &r, attributes, y});
          return y.to_doubles();
        };
        const std::vector<double> expected = run({}, DType::f32);
        EmulatedDevice emulated;
        EXPECT_LE(test::relative_error(run(kCuda, DType::bf16), expected), 8e-3);
        EXPECT_EQ(emulated.driver.kernels_run().back(), "tensor-core forward");
      }
}

// The gradient of a weight in either order, in one part of pixels and in several.
TEST(TensorConv, TakesContiguousWeights) {
  for (const int64_t channels : {3, 8})
    for (const int64_t edge : {4, 30}) {
      const Tensor x = image({1, channels, edge, edge}, -1, 1, 1),
                   dy = image({1, 8, edge, edge}, -1, 1, 2);
      const ConvAttributes attributes{square_window(3, 1, 1)};
      const auto gradient = [&](Device device, DType dtype, MemoryFormat format) {
        const Tensor x_there = to_device(x.to(dtype), device),
                     dy_there = to_device(dy.to(dtype), device);
        Tensor dweight = Tensor::empty({8, channels, 3, 3}, {.format = format, .device = device});
        kernels_for<ops::ConvKernels>(x_there).backward_weight(
            current_context(), {x_there, dy_there, attributes, &dweight, nullptr});
        return dweight.to_doubles();
      };
      const std::vector<double> expected = gradient({}, DType::f32, MemoryFormat::contiguous);
      for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        EmulatedDevice emulated;
        EXPECT_LE(test::relative_error(gradient(kCuda, DType::bf16, format), expected),
                  1e-5);  // sums in float32, stored in float32
        EXPECT_EQ(emulated.driver.kernels_run().front(), "tensor-core backward-weight");
      }
    }
}

// A weight is rounded once, not in each pass, and again after it was written.
TEST(TensorConv, RoundsAWeightOnce) {
  EmulatedDevice emulated;
  const Tensor x = to_device(
      test::distinct_values({1, 8, 4, 4}, -1, 1, 1).to(DType::bf16).to(MemoryFormat::channels_last),
      kCuda);
  Tensor weight = to_device(
      test::distinct_values({8, 8, 3, 3}, -1, 1, 2).to(DType::f32).to(MemoryFormat::channels_last),
      kCuda);
  const auto roundings = [&] {
    emulated.device().synchronize();
    return std::count(emulated.driver.kernels_run().begin(), emulated.driver.kernels_run().end(),
                      "cast");
  };
  const auto pass = [&] { return functional::conv(x, weight, {}, {square_window(3, 1, 1)}); };
  const auto before = roundings();
  const std::vector<double> first = pass().to_doubles();
  EXPECT_EQ(roundings(), before + 1);
  EXPECT_EQ(pass().to_doubles(), first);
  EXPECT_EQ(roundings(), before + 1);
  weight.copy_from(
      to_device(Tensor::full(weight.shape(), 0.5, {.format = MemoryFormat::channels_last}), kCuda));
  EXPECT_NE(pass().to_doubles(), first);
  EXPECT_EQ(roundings(), before + 2);
}

TEST(TensorConv, SaysWhyItDeclines) {
  EmulatedDevice emulated;
  const auto why = [&](DType dtype, int64_t groups) {
    const Tensor x = to_device(image({1, 8, 4, 4}, -1, 1, 1).to(dtype), kCuda),
                 weight = to_device(Tensor::zeros({8, 8 / groups, 1, 1}), kCuda);
    Tensor y = Tensor::empty_like(x);
    const ConvAttributes attributes{square_window(1, 1, 0), groups};
    const ops::ConvForwardArgs args{x, weight, nullptr, attributes, y};
    for (const auto& kernel : kernels_for<ops::ConvKernels>(x).forward.candidates())
      if (std::string(kernel.name) == "cuda_tensor") {
        const char* reason = kernel.declines(current_context(), args);
        return std::string(reason ? reason : "");
      }
    return std::string("not registered");
  };
  EXPECT_EQ(why(DType::f32, 1), "tensor cores take only bf16 and f16");
  EXPECT_EQ(why(DType::bf16, 2), "it has groups");
  EXPECT_EQ(why(DType::bf16, 1), "");
}

}  // namespace
}  // namespace graft
