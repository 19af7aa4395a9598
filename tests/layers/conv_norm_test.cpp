// A convolution and the batch norm after it: statistics that come out of the convolution, and a
// shortcut's gradient that the convolution's own is added to.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;
using test::parameter;

struct Layer {
  Shape x, weight;
  int64_t stride = 1, padding = 0, groups = 1;
  bool bias = false;
};

OpCase ungolden(OpCase op) {
  op.golden = false;
  op.f32_tolerance = 5e-5;
  return op;
}

// norm(conv(x)). Outputs: y and the running statistics, which are the batch's.
OpCase statistics_case(std::string name, const Layer& layer) {
  const int64_t k = layer.weight[0];
  std::vector<test::OpInput> inputs{activation(layer.x), parameter(layer.weight),
                                    parameter({k}, -1.5, 2), parameter({k})};
  if (layer.bias)
    inputs.push_back(
        test::fixed(parameter({k})));  // its gradient is zero: batch norm takes the mean away
  return ungolden(
      {std::move(name), std::move(inputs), [layer, k](std::span<const Tensor> in) {
         const Tensor mean = Tensor::zeros({k}, {.dtype = in[2].dtype()}),
                      variance = Tensor::zeros({k}, {.dtype = in[2].dtype()});
         functional::BatchStatistics statistics;
         const ops::ConvAttributes attributes{
             ops::square_window(layer.weight[2], layer.stride, layer.padding), layer.groups};
         const Tensor y =
             functional::conv(in[0], in[1], layer.bias ? in[4] : Tensor(), attributes, &statistics);
         return std::vector<Tensor>{
             functional::batch_norm(y, in[2], in[3], mean, variance,
                                    {.training = true, .momentum = 1}, {}, statistics),
             mean, variance};
       }});
}

std::vector<OpCase> statistics_cases() {
  return {
      statistics_case("pointwise", {{2, 6, 4, 3}, {8, 6, 1, 1}}),
      statistics_case("padded_3x3", {{2, 4, 5, 4}, {6, 4, 3, 3}, 1, 1}),
      statistics_case("biased_stride", {{3, 4, 6, 5}, {10, 4, 3, 3}, 2, 1, 1, true}),
      statistics_case("grouped", {{2, 4, 4, 4}, {6, 2, 3, 3}, 1, 1, 2}),
      statistics_case("narrow_groups", {{2, 4, 4, 5}, {4, 2, 3, 3}, 1, 1, 2}),
      statistics_case("depthwise", {{2, 6, 5, 4}, {6, 1, 3, 3}, 1, 1, 6}),
      statistics_case("odd_channels", {{2, 3, 6, 6}, {5, 3, 3, 3}, 1, 0}),
      test::kernels_only(statistics_case("blocks_of_rows", {{3, 6, 19, 17}, {72, 6, 1, 1}})),
      test::kernels_only(statistics_case("stem", {{2, 3, 20, 22}, {36, 3, 7, 7}, 2, 3})),
      test::kernels_only(statistics_case("long_sums", {{1, 130, 5, 4}, {7, 130, 3, 3}, 1, 0})),
      test::kernels_only(statistics_case("winograd", {{1, 32, 14, 14}, {32, 32, 3, 3}, 1, 1})),
  };
}
GRAFT_OP_CASES(ConvStatistics, statistics_cases(), "", "conv backward-data",
               "conv backward-weight");

// conv(conv(x)) + x * factor, and a convolution of x with stride 2: two of the three parts of x's
// gradient are added to the first.
OpCase shortcut_case(std::string name, const Layer& layer) {
  const int64_t c = layer.x[1], k = layer.weight[0];
  return ungolden({std::move(name),
                   {activation(layer.x), parameter(layer.weight), parameter({c, k, 1, 1}),
                    activation(layer.x), parameter({c, c, 1, 1})},
                   [layer](std::span<const Tensor> in) {
                     namespace F = functional;
                     const Tensor inner = F::conv(
                         in[0], in[1], {},
                         {ops::square_window(layer.weight[2], 1, layer.padding), layer.groups});
                     const Tensor y = F::add(F::conv(inner, in[2], {}), F::mul(in[0], in[3]));
                     const Tensor strided = F::conv(in[0], in[4], {}, {ops::square_window(1, 2)});
                     const Tensor parts[] = {F::reshape(y, {y.numel()}),
                                             F::reshape(strided, {strided.numel()})};
                     return std::vector<Tensor>{F::concat(parts, 0)};
                   }});
}

std::vector<OpCase> shortcut_cases() {
  return {
      shortcut_case("pointwise", {{2, 4, 3, 5}, {6, 4, 1, 1}}),
      shortcut_case("padded_3x3", {{2, 4, 4, 5}, {2, 4, 3, 3}, 1, 1}),
      shortcut_case("narrow_groups", {{2, 6, 5, 4}, {6, 2, 3, 3}, 1, 1, 3}),
      shortcut_case("depthwise", {{2, 6, 5, 4}, {6, 1, 3, 3}, 1, 1, 6}),
      test::kernels_only(shortcut_case("wide", {{2, 40, 5, 7}, {24, 40, 1, 1}})),
      test::kernels_only(shortcut_case("long_sums", {{1, 3, 5, 4}, {136, 3, 3, 3}, 1, 1})),
      test::kernels_only(shortcut_case("winograd", {{1, 32, 14, 14}, {32, 32, 3, 3}, 1, 1})),
  };
}
GRAFT_OP_CASES(ConvShortcut, shortcut_cases(), "", "conv forward", "conv backward-data",
               "conv backward-weight", "concat", "binary");

// Which passes ran while f did, by their names.
template <class F>
std::vector<std::string> passes_of(F&& f) {
  std::vector<std::string> passes;
  ExecContext& context = current_context();
  context.set_kernel_observer(
      [&](const ExecContext::KernelRun& run) { passes.emplace_back(run.pass); });
  f();
  context.set_kernel_observer({});
  return passes;
}
int64_t times(const std::vector<std::string>& passes, std::string_view pass) {
  return std::count(passes.begin(), passes.end(), pass);
}

TEST(ConvStatistics, SaveThePassOverTheResult) {
  const Tensor x =
      test::distinct_values({2, 8, 6, 6}, -1, 1, 1).to(DType::f32).to(MemoryFormat::channels_last);
  const Tensor weight = test::distinct_values({16, 8, 1, 1}, -1, 1, 2).to(DType::f32);
  functional::BatchStatistics statistics;
  const auto passes = passes_of([&] {
    const Tensor y = functional::conv(x, weight, {}, {}, &statistics);
    functional::batch_norm(y, {}, {}, {}, {}, {.training = true}, {}, statistics);
  });
  EXPECT_EQ(times(passes, "conv forward-statistics"), 1);
  EXPECT_EQ(times(passes, "conv forward"), 0);
  EXPECT_EQ(times(passes, "batch_norm statistics"), 0);
}

// The kernel writes into a sum only where nobody else sees it.
TEST(ConvShortcut, AddsWhereTheSumIsNobodyElses) {
  const Tensor x =
      test::distinct_values({2, 8, 6, 6}, -1, 1, 1).to(DType::f32).to(MemoryFormat::channels_last);
  const Tensor weight = test::distinct_values({8, 8, 1, 1}, -1, 1, 2).to(DType::f32);
  set_requires_grad(x, true);
  const Tensor dy =
      test::distinct_values({2, 8, 6, 6}, -1, 1, 3).to(DType::f32).to(MemoryFormat::channels_last);
  const auto once = [&] { backward(functional::conv(x, weight, {}), dy); };
  once();
  const std::vector<double> one = grad_of(x).to_doubles();
  EXPECT_EQ(times(passes_of(once), "conv backward-data-added"), 1);
  const Tensor held = grad_of(x);
  const std::vector<double> two = held.to_doubles();
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(two[i], 2 * one[i], 1e-5);
  const auto passes = passes_of(once);
  EXPECT_EQ(times(passes, "conv backward-data-added"), 0);
  EXPECT_EQ(times(passes, "conv backward-data"), 1);
  EXPECT_EQ(held.to_doubles(), two);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(grad_of(x).to_doubles()[i], 3 * one[i], 1e-5);
}

TEST(ConvStatistics, RefusesStatisticsThatDoNotFit) {
  const Tensor x = Tensor::zeros({2, 3, 2, 2}), three = Tensor::zeros({3});
  EXPECT_THROW(functional::batch_norm(x, {}, {}, {}, {}, {.training = true}, {},
                                      {Tensor::zeros({2}), three}),
               Error);
  EXPECT_THROW(functional::batch_norm(x, {}, {}, {}, {}, {.training = true}, {}, {three, {}}),
               Error);
}

}  // namespace
}  // namespace graft
