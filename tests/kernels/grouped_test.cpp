// The kernels of narrow groups: three passes against the reference on every instruction set here;
// their bits depend on neither threads nor batch.
#include <cstring>

#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

struct GroupedCase {
  const char* name;
  int64_t n, c, group, h, w, r, s;
  int64_t stride_h = 1, stride_w = 1, dilation = 1, top = 0, left = 0, bottom = 0, right = 0;

  ops::ConvAttributes attributes() const {
    ops::ConvAttributes a;
    a.window.kernel = {r, s, 1};
    a.window.stride = {stride_h, stride_w, 1};
    a.window.dilation = {dilation, dilation, 1};
    a.window.pad_begin = {top, left, 0};
    a.window.pad_end = {bottom, right, 0};
    a.groups = c / group;
    return a;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {c, group, r, s}; }
};

const GroupedCase grouped_cases[] = {
    {"groups of 4", 2, 32, 4, 9, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"groups of 4, channels left over", 3, 28, 4, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"groups of 8", 2, 64, 8, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"groups of 8, channels left over", 1, 24, 8, 5, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"groups of 16", 2, 48, 16, 6, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"groups of 2", 2, 18, 2, 9, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"stride 2", 2, 32, 4, 15, 14, 3, 3, 2, 2, 1, 1, 1, 1, 1},
    {"stride 2, padded at the end", 1, 16, 8, 14, 14, 3, 3, 2, 2, 1, 0, 0, 1, 1},
    {"not padded", 2, 32, 4, 9, 10, 3, 3},
    {"1x1", 2, 48, 8, 5, 6, 1, 1},
    {"1x1 s2", 2, 48, 16, 5, 6, 1, 1, 2, 2},
    {"dilated", 1, 20, 4, 12, 11, 3, 3, 1, 1, 2, 2, 2, 2, 2},
    {"wider than the image", 2, 8, 4, 3, 2, 3, 5, 1, 1, 1, 1, 2, 1, 2},
    {"far padding", 1, 16, 8, 4, 4, 3, 3, 1, 3, 1, 4, 5, 3, 6},
    {"one pixel", 2, 64, 16, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"uneven strides", 1, 32, 4, 9, 17, 2, 3, 3, 2},
    {"5x5", 1, 24, 8, 9, 8, 5, 5, 1, 1, 1, 2, 2, 2, 2},
    {"stride beyond the filter", 1, 16, 4, 9, 9, 2, 2, 3, 3},
    {"several splits", 2, 80, 4, 40, 52, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"many channels", 1, 160, 8, 20, 17, 3, 3, 1, 1, 1, 1, 1, 1, 1},
};

// The instruction sets here whose registers are as long as a group.
std::vector<InstructionSet> sets_for(const GroupedCase& c, DType dtype) {
  std::vector<InstructionSet> sets;
  for (const InstructionSet set : instruction_sets()) {
    const int64_t bytes = set == InstructionSet::portable ? 16
                          : set == InstructionSet::avx2   ? 32
                                                          : 64;
    if (c.group * (dtype == DType::f64 ? 8 : 4) <= bytes) sets.push_back(set);
  }
  return sets;
}

Tensor grouped_result(ExecContext& context, const GroupedCase& c, DType dtype, bool fused,
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
    kernels_for<ops::FusedConvKernels>(x).forward(
        context,
        {x, weight, nullptr, &bias, &residual, {attributes, ops::FusedActivation::relu6}, y});
  else
    kernels_for<ops::ConvKernels>(x).forward(context, {x, weight, nullptr, attributes, y});
  return y;
}

TEST(Grouped, MatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const GroupedCase& c : grouped_cases)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const bool fused : {false, true}) {
        // The reference's fused convolution begins with its plain one, which the filter lets
        // through too.
        const Tensor expected = grouped_result(reference, c, dtype, fused);
        for (const InstructionSet set : sets_for(c, dtype)) {
          ExecContext engine = only("cpu_grouped", 2, set);
          EXPECT_LT(relative_error(grouped_result(engine, c, dtype, fused), expected),
                    tolerance(dtype))
              << c.name << " " << name_of(set) << " " << name_of(dtype);
        }
      }
}

TEST(Grouped, BitsDependOnNeitherThreadsNorBatch) {
  for (const GroupedCase& c : grouped_cases)
    for (const InstructionSet set : sets_for(c, DType::f32)) {
      ExecContext one = only("cpu_grouped", 1, set), three = only("cpu_grouped", 3, set);
      const Tensor expected = grouped_result(one, c, DType::f32, true),
                   other = grouped_result(three, c, DType::f32, true);
      EXPECT_EQ(std::memcmp(other.raw(), expected.raw(), static_cast<size_t>(expected.bytes())), 0)
          << c.name;
      const Tensor last = grouped_result(one, c, DType::f32, true, c.n - 1);
      EXPECT_EQ(std::memcmp(
                    last.raw(),
                    static_cast<const std::byte*>(expected.raw()) + expected.bytes() - last.bytes(),
                    static_cast<size_t>(last.bytes())),
                0)
          << c.name;
    }
}

struct Gradients {
  Tensor data, added, weight, bias;
};

// dx, what `added` becomes when dx is added to it, and dweight; in float64 from the same values
// when `exact`.
Gradients grouped_gradients(ExecContext& context, const GroupedCase& c, DType dtype, bool exact) {
  const ops::ConvAttributes attributes = c.attributes();
  const Shape y_shape = ops::conv_output_shape(c.x(), c.weight(), attributes);
  const DType parameters = dtype == DType::f64 ? DType::f64 : DType::f32;
  const auto given = [&](const Shape& shape, uint64_t seed, MemoryFormat format, DType type) {
    const Tensor t = random(shape, seed, format, parameters).to(type);
    return exact ? t.to(DType::f64) : t;
  };
  const auto nhwc = MemoryFormat::channels_last;
  const Tensor x = given(c.x(), 1, nhwc, dtype), dy = given(y_shape, 2, nhwc, dtype),
               weight = given(c.weight(), 3, {}, parameters);
  Gradients g{Tensor::full(c.x(), 7, x.options()), given(c.x(), 5, nhwc, dtype),
              Tensor::full(c.weight(), 7, weight.options()),
              dtype == DType::bf16 ? Tensor() : Tensor::full({c.c}, 7, weight.options())};
  const ops::ConvKernels& conv = kernels_for<ops::ConvKernels>(x);
  conv.backward_data(context, {dy, weight, attributes, g.data});
  if (exact) {
    const double* dx = g.data.data<double>();
    double* sum = g.added.mutable_data<double>();
    for (int64_t i = 0; i < g.added.numel(); ++i) sum[i] += dx[i];
  } else {
    EXPECT_TRUE(conv.backward_data_added.try_run(context, {dy, weight, attributes, g.added}));
  }
  conv.backward_weight(context,
                       {x, dy, attributes, &g.weight, g.bias.defined() ? &g.bias : nullptr});
  return g;
}

TEST(Grouped, GradientsMatchReference) {
  ExecContext reference = only("reference", 2);
  for (const GroupedCase& c : grouped_cases)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      const Gradients expected = grouped_gradients(reference, c, dtype, true);
      for (const InstructionSet set : sets_for(c, dtype)) {
        ExecContext engine = only("cpu_grouped", 2, set);
        const Gradients actual = grouped_gradients(engine, c, dtype, false);
        const std::string what = str(c.name, " ", name_of(set), " ", name_of(dtype));
        const double images = dtype == DType::bf16 ? 4e-3 : tolerance(dtype);
        EXPECT_LT(relative_error(actual.data, expected.data), images) << what;
        EXPECT_LT(relative_error(actual.added, expected.added), images) << what;
        EXPECT_LT(relative_error(actual.weight, expected.weight), tolerance(dtype)) << what;
        if (actual.bias.defined()) {
          EXPECT_LT(relative_error(actual.bias, expected.bias), tolerance(dtype)) << what;
        }
      }
    }
}

TEST(Grouped, ForwardOfBfloat16MatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const GroupedCase& c : grouped_cases) {
    const ops::ConvAttributes attributes = c.attributes();
    const Tensor x = random(c.x(), 1, MemoryFormat::channels_last).to(DType::bf16),
                 weight = random(c.weight(), 3), wide = x.to(DType::f64);
    const Shape y_shape = ops::conv_output_shape(c.x(), c.weight(), attributes);
    Tensor y = Tensor::empty(y_shape, x.options()), exact = Tensor::empty(y_shape, wide.options());
    const Tensor exact_weight = weight.to(DType::f64);
    kernels_for<ops::ConvKernels>(wide).forward(reference,
                                                {wide, exact_weight, nullptr, attributes, exact});
    for (const InstructionSet set : sets_for(c, DType::bf16)) {
      ExecContext engine = only("cpu_grouped", 2, set);
      kernels_for<ops::ConvKernels>(x).forward(engine, {x, weight, nullptr, attributes, y});
      EXPECT_LT(relative_error(y, exact), 4e-3) << c.name << " " << name_of(set);
    }
  }
}

TEST(Grouped, BitsOfGradientsDependOnNoThreads) {
  const auto same = [](const Tensor& a, const Tensor& b) {
    return std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
  };
  for (const GroupedCase& c : grouped_cases)
    for (const InstructionSet set : sets_for(c, DType::f32)) {
      ExecContext one = only("cpu_grouped", 1, set);
      const Gradients expected = grouped_gradients(one, c, DType::f32, false);
      for (const int threads : {2, 4}) {
        ExecContext several = only("cpu_grouped", threads, set);
        const Gradients actual = grouped_gradients(several, c, DType::f32, false);
        EXPECT_TRUE(same(actual.data, expected.data) && same(actual.added, expected.added) &&
                    same(actual.weight, expected.weight))
            << c.name << " " << name_of(set) << ", " << threads << " threads";
      }
    }
}

TEST(Grouped, StatisticsComeWithTheForwardPass) {
  for (const GroupedCase& c : grouped_cases)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const InstructionSet set : sets_for(c, dtype)) {
        const ops::ConvAttributes attributes = c.attributes();
        const Tensor x = random(c.x(), 1, MemoryFormat::channels_last).to(dtype),
                     weight = random(c.weight(), 3);
        Tensor y = Tensor::empty(ops::conv_output_shape(c.x(), c.weight(), attributes),
                                 x.options()),
               plain = Tensor::empty_like(y), mean = Tensor::empty({c.c}),
               variance = Tensor::empty({c.c}), expected_mean = Tensor::empty({c.c}),
               expected_variance = Tensor::empty({c.c});
        ExecContext engine = only("cpu_grouped", 2, set), reference = only("reference");
        const ops::ConvKernels& kernels = kernels_for<ops::ConvKernels>(x);
        ASSERT_TRUE(kernels.forward_statistics.try_run(
            engine, {x, weight, nullptr, attributes, y, mean, variance}));
        kernels.forward(engine, {x, weight, nullptr, attributes, plain});
        EXPECT_EQ(y.to_doubles(), plain.to_doubles()) << c.name;
        kernels_for<ops::BatchNormKernels>(x).statistics(reference,
                                                         {y, expected_mean, expected_variance});
        EXPECT_LT(relative_error(mean, expected_mean), 1e-5) << c.name << " " << name_of(set);
        EXPECT_LT(relative_error(variance, expected_variance), 1e-5)
            << c.name << " " << name_of(set);
      }
}

}  // namespace
}  // namespace graft
