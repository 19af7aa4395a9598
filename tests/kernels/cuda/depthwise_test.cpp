// Depthwise convolution on the device: the kernels that keep their filter in registers, and the
// fused pass of plans.
#include <gtest/gtest.h>

#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft {
namespace {

using ops::square_window;
using test::conv_case;

// Steps of one, where a thread makes two neighbours: odd and even widths, one column, padding of
// one side.
std::vector<test::OpCase> cases() {
  ops::ConvAttributes one_sided{square_window(3, 1, 0), 8};
  one_sided.window.pad_begin = {0, 2, 0};
  one_sided.window.pad_end = {1, 0, 0};
  return {
      conv_case("odd_width", {2, 8, 4, 7}, {8, 1, 3, 3}, {square_window(3, 1, 1), 8}, true),
      conv_case("even_width", {1, 16, 3, 6}, {16, 1, 3, 3}, {square_window(3, 1, 1), 16}),
      conv_case("one_column", {2, 8, 5, 3}, {8, 1, 3, 3}, {square_window(3, 1, 0), 8}),
      conv_case("one_sided_padding", {1, 8, 5, 4}, {8, 1, 3, 3}, one_sided),
      conv_case("k5", {1, 8, 6, 7}, {8, 1, 5, 5}, {square_window(5, 1, 2), 8}, true),
  };
}

TEST(CudaDepthwise, PlansAddAResidualAndActivate) {
  test::TestDevice opened;
  const auto there = [](const Tensor& t) { return to_device(t, test::kCuda); };
  for (const int64_t stride : {1, 2})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const ops::FusedActivation activation :
           {ops::FusedActivation::none, ops::FusedActivation::relu, ops::FusedActivation::relu6}) {
        const ops::FusedConvAttributes attributes{{square_window(3, stride, 1), 8}, activation};
        const auto values = [&](const Shape& shape, uint64_t stream) {
          return test::distinct_values(shape, -3, 4, stream)
              .to(dtype)
              .to(MemoryFormat::channels_last);
        };
        const Tensor x = values({2, 8, 5, 5}, 1),
                     weight = test::distinct_values({8, 1, 3, 3}, -1, 1.5, 2).to(DType::f32);
        const Tensor bias = test::distinct_values({8}, -1, 1, 3).to(DType::f32);
        const Shape shape = ops::conv_output_shape(x.shape(), weight.shape(), attributes.conv);
        const Tensor residual = values(shape, 4);
        const auto run = [&](const auto& place) {
          const Tensor a = place(x), w = place(weight), b = place(bias), r = place(residual);
          Tensor y = Tensor::empty(shape, a.options());
          kernels_for<ops::FusedConvKernels>(a).forward(current_context(),
                                                        {a, w, nullptr, &b, &r, attributes, y});
          return y.to_doubles();
        };
        EXPECT_LE(test::relative_error(run(there), run([](const Tensor& t) { return t; })),
                  dtype == DType::f32 ? 1e-6 : 1e-2)
            << name_of(dtype) << ", stride " << stride;
      }
}

}  // namespace

GRAFT_DEVICE_CASES(Depthwise, cases());

}  // namespace graft
