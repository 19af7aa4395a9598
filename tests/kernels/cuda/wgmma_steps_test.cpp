// The convolutions of compute capability 9.0 in small steps, each of which adds one thing, so that
// the first that is wrong says where: values are small whole numbers, so every sum is exact, and
// the first wrong row and column of the product is named.
#include <gtest/gtest.h>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/registry.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::kCuda;
using test::Products;
using test::TestDevice;

// Whole numbers from -2 to 2 that repeat in no power of two.
Tensor whole_numbers(const Shape& shape, int64_t seed) {
  Tensor values = Tensor::empty(shape, {.dtype = DType::f32});
  auto* out = values.mutable_data<float>();
  for (int64_t i = 0; i < values.numel(); ++i)
    out[i] = static_cast<float>((i * 7 + i / 5 * 3 + seed) % 11 % 5 - 2);
  return values.to(MemoryFormat::channels_last);
}

struct StepOfWgmma {
  Shape x{1, 64, 8, 16}, weight{64, 64, 1, 1};
  ops::Window window = ops::square_window(1, 1, 0);
};
enum class StepPass : unsigned char { forward, backward_data, backward_weight };

Tensor run_step(const StepOfWgmma& step, StepPass pass, Device device, DType dtype,
                std::string_view family) {
  ExecContext context(1);
  if (!family.empty())
    context.set_kernel_filter([family](auto, auto kernel) { return kernel == family; });
  const ops::ConvAttributes attributes{step.window};
  const Tensor x = to_device(whole_numbers(step.x, 1).to(dtype), device),
               weight = to_device(whole_numbers(step.weight, 2), device),
               dy = to_device(
                   whole_numbers(ops::conv_output_shape(step.x, step.weight, attributes), 3)
                       .to(dtype),
                   device);
  Tensor result = pass == StepPass::forward         ? Tensor::empty_like(dy)
                  : pass == StepPass::backward_data ? Tensor::empty_like(x)
                                                    : Tensor::empty_like(weight);
  const auto& kernels = kernels_for<ops::ConvKernels>(device);
  if (pass == StepPass::forward)
    kernels.forward(context, {x, weight, nullptr, attributes, result});
  else if (pass == StepPass::backward_data)
    kernels.backward_data(context, {dy, weight, attributes, result});
  else
    kernels.backward_weight(context, {x, dy, attributes, &result, nullptr});
  return result;
}

// Rows are pixels (of a weight: filters), columns the channels behind them (of a weight: taps).
void expect_step(const StepOfWgmma& step, StepPass pass) {
  TestDevice opened(Products::wgmma);
  const gpu::Properties& gpu = opened.device().properties();
  if (gpu.major != 9 || gpu.minor != 0) GTEST_SKIP() << "not of compute capability 9.0";
  const Tensor exact = run_step(step, pass, {}, DType::f32, "reference"),
               found = run_step(step, pass, kCuda, DType::bf16, "cuda_wgmma");
  const bool weight = pass == StepPass::backward_weight;
  // As they lie in memory: channels last.
  const auto lying = [](const Tensor& t) {
    const Shape& s = t.shape();
    const std::vector<double> values = t.to_doubles();
    std::vector<double> result(values.size());
    const int64_t area = s[2] * s[3];
    for (int64_t n = 0; n < s[0]; ++n)
      for (int64_t c = 0; c < s[1]; ++c)
        for (int64_t i = 0; i < area; ++i)
          result[static_cast<size_t>((n * area + i) * s[1] + c)] =
              values[static_cast<size_t>((n * s[1] + c) * area + i)];
    return result;
  };
  const std::vector<double> expected = lying(weight ? exact : exact.to(DType::bf16)),
                            actual = lying(found);
  ASSERT_EQ(actual.size(), expected.size());
  const Shape& s = found.shape();
  const auto columns = static_cast<size_t>(weight ? s[1] * s[2] * s[3] : s[1]);
  size_t wrong = 0, first = 0;
  for (size_t i = actual.size(); i-- > 0;)
    if (actual[i] != expected[i]) ++wrong, first = i;
  EXPECT_EQ(wrong, 0u) << wrong << " of " << actual.size() << " are wrong; first in row "
                       << first / columns << ", column " << first % columns << ": " << actual[first]
                       << " for " << expected[first];
}

TEST(WgmmaSteps, OneStep) { expect_step({}, StepPass::forward); }
TEST(WgmmaSteps, SeveralSteps) {
  expect_step({.x = {1, 192, 8, 16}, .weight = {64, 192, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, MoreStepsThanStages) {
  expect_step({.x = {1, 512, 8, 16}, .weight = {64, 512, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, TailOfSteps) {
  expect_step({.x = {1, 72, 8, 16}, .weight = {64, 72, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, TailOfRowsAndColumns) {
  expect_step({.x = {1, 64, 5, 7}, .weight = {40, 64, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, WideTile) {
  expect_step({.x = {1, 64, 8, 16}, .weight = {128, 64, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, SeveralTiles) {
  expect_step({.x = {2, 64, 9, 16}, .weight = {136, 64, 1, 1}}, StepPass::forward);
}
TEST(WgmmaSteps, Window3x3) {
  expect_step({{1, 64, 8, 16}, {64, 64, 3, 3}, ops::square_window(3, 1, 1)}, StepPass::forward);
}
TEST(WgmmaSteps, Stride2) {
  expect_step({{1, 64, 9, 15}, {64, 64, 3, 3}, ops::square_window(3, 2, 1)}, StepPass::forward);
}
TEST(WgmmaSteps, BackwardData) { expect_step({}, StepPass::backward_data); }
TEST(WgmmaSteps, BackwardData3x3) {
  expect_step({{1, 64, 8, 16}, {64, 64, 3, 3}, ops::square_window(3, 1, 1)},
              StepPass::backward_data);
}
TEST(WgmmaSteps, BackwardDataStride2) {
  expect_step({{1, 64, 9, 15}, {64, 64, 3, 3}, ops::square_window(3, 2, 1)},
              StepPass::backward_data);
}
TEST(WgmmaSteps, BackwardWeight) { expect_step({}, StepPass::backward_weight); }
TEST(WgmmaSteps, BackwardWeight3x3) {
  expect_step({{1, 64, 8, 16}, {64, 64, 3, 3}, ops::square_window(3, 1, 1)},
              StepPass::backward_weight);
}
// 192 channels are a tile of 128 and a half: the other half's box starts wholly beyond them.
TEST(WgmmaSteps, BackwardWeightBoxBeyondTheChannels) {
  expect_step({.x = {1, 192, 8, 16}, .weight = {64, 192, 1, 1}}, StepPass::backward_weight);
}

}  // namespace
}  // namespace graft
