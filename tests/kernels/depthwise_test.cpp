// The depthwise kernel against the reference on every instruction set here; its bits depend on
// neither threads nor batch.
#include <cstring>

#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

struct DepthwiseCase {
  const char* name;
  int64_t n, c, h, w, r, s;
  int64_t stride_h = 1, stride_w = 1, dilation = 1, top = 0, left = 0, bottom = 0, right = 0;

  ops::ConvAttributes attributes() const {
    ops::ConvAttributes a;
    a.window.kernel = {r, s, 1};
    a.window.stride = {stride_h, stride_w, 1};
    a.window.dilation = {dilation, dilation, 1};
    a.window.pad_begin = {top, left, 0};
    a.window.pad_end = {bottom, right, 0};
    a.groups = c;
    return a;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {c, 1, r, s}; }
};

const DepthwiseCase depthwise_cases[] = {
    {"3x3", 2, 32, 9, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"3x3 odd channels", 3, 37, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"3x3 s2", 2, 48, 15, 14, 3, 3, 2, 2, 1, 1, 1, 1, 1},
    {"3x3 s2, padded at the end", 1, 16, 14, 14, 3, 3, 2, 2, 1, 0, 0, 1, 1},
    {"5x5 s2", 1, 24, 11, 13, 5, 5, 2, 2, 1, 2, 2, 2, 2},
    {"dilated", 1, 19, 12, 11, 3, 3, 1, 1, 2, 2, 2, 2, 2},
    {"wider than the image", 2, 8, 3, 2, 3, 5, 1, 1, 1, 1, 2, 1, 2},
    {"far padding", 1, 17, 4, 4, 3, 3, 1, 3, 1, 4, 5, 3, 6},
    {"one pixel", 2, 64, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"no padding, uneven strides", 1, 33, 9, 17, 2, 3, 3, 2},
    {"many rows", 1, 96, 40, 37, 3, 3, 1, 1, 1, 1, 1, 1, 1},
};

Tensor depthwise_result(ExecContext& context, const DepthwiseCase& c, DType dtype, bool fused,
                        int64_t sample = -1) {
  const auto image = [&](const Shape& shape, uint64_t seed) {
    const Tensor all = random(shape, seed, MemoryFormat::channels_last, dtype);
    return sample < 0 ? all : all.narrow_batch(sample, 1).clone();
  };
  const ops::ConvAttributes attributes = c.attributes();
  const Shape y_shape = ops::conv_output_shape(c.x(), c.weight(), attributes);
  const Tensor x = image(c.x(), 1), residual = image(y_shape, 2),
               weight = random(c.weight(), 3, {}, dtype), bias = random({c.c}, 4, {}, dtype);
  Tensor y = Tensor::full(residual.shape(), 7, x.options());
  if (fused)
    kernels_for(x).fused_conv.forward(
        context,
        {x, weight, nullptr, &bias, &residual, {attributes, ops::FusedActivation::relu6}, y});
  else
    kernels_for(x).conv.forward(context, {x, weight, nullptr, attributes, y});
  return y;
}

TEST(Depthwise, MatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const DepthwiseCase& c : depthwise_cases)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const bool fused : {false, true}) {
        // The reference's fused convolution begins with its plain one, which the filter lets
        // through too.
        const Tensor expected = depthwise_result(reference, c, dtype, fused);
        for (const InstructionSet set : instruction_sets()) {
          ExecContext engine = only("cpu_depthwise", 2, set);
          EXPECT_LT(relative_error(depthwise_result(engine, c, dtype, fused), expected),
                    tolerance(dtype))
              << c.name << " " << name_of(set) << " " << name_of(dtype);
        }
      }
}

TEST(Depthwise, BitsDependOnNeitherThreadsNorBatch) {
  for (const DepthwiseCase& c : depthwise_cases)
    for (const InstructionSet set : instruction_sets()) {
      ExecContext one = only("cpu_depthwise", 1, set), three = only("cpu_depthwise", 3, set);
      const Tensor expected = depthwise_result(one, c, DType::f32, true),
                   other = depthwise_result(three, c, DType::f32, true);
      EXPECT_EQ(std::memcmp(other.raw(), expected.raw(), static_cast<size_t>(expected.bytes())), 0)
          << c.name;
      const Tensor last = depthwise_result(one, c, DType::f32, true, c.n - 1);
      EXPECT_EQ(std::memcmp(
                    last.raw(),
                    static_cast<const std::byte*>(expected.raw()) + expected.bytes() - last.bytes(),
                    static_cast<size_t>(last.bytes())),
                0)
          << c.name;
    }
}

}  // namespace
}  // namespace graft
