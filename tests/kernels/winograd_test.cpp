// Winograd's kernels against the reference in double, within their stated bound, on every
// instruction set here.
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

constexpr double kBound = 4e-5;  // of the largest result: kernels/cpu/winograd.h states it

struct WinogradCase {
  const char* name;
  int64_t n, c, h, w, k;
  int64_t top = 1, left = 1, bottom = 1, right = 1;

  ops::ConvAttributes attributes() const {
    ops::ConvAttributes a;
    a.window = ops::square_window(3, 1, 1);
    a.window.pad_begin = {top, left, 0};
    a.window.pad_end = {bottom, right, 0};
    return a;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {k, c, 3, 3}; }
  Shape y() const { return ops::conv_output_shape(x(), weight(), attributes()); }
};

const WinogradCase winograd_cases[] = {
    {"whole tiles", 2, 32, 12, 12, 32},
    {"parts of tiles", 3, 33, 13, 15, 41},
    {"no padding", 1, 48, 15, 17, 70, 0, 0, 0, 0},
    {"uneven padding", 2, 40, 18, 13, 35, 2, 0, 0, 3},
    {"far padding", 1, 32, 14, 14, 32, 5, 4, 3, 6},
    {"many blocks", 2, 64, 41, 43, 64},
    {"deep", 1, 300, 14, 14, 260},
};

// Forward, forward with everything fused, and backward-data.
std::vector<Tensor> winograd_results(ExecContext& context, const WinogradCase& c, DType dtype,
                                     int64_t sample = -1) {
  const auto image = [&](const Shape& shape, uint64_t seed) {
    const Tensor all = random(shape, seed, MemoryFormat::channels_last).to(dtype);
    return sample < 0 ? all : all.narrow_batch(sample, 1).clone();
  };
  const Tensor x = image(c.x(), 1), dy = image(c.y(), 2), residual = image(c.y(), 3);
  const Tensor weight = random(c.weight(), 4).to(dtype), bias = random({c.k}, 5).to(dtype);
  const ops::ConvAttributes attributes = c.attributes();
  const ops::FusedConvAttributes fused{attributes, ops::FusedActivation::relu};
  std::vector<Tensor> out{Tensor::full(dy.shape(), 7, dy.options()),
                          Tensor::full(dy.shape(), 7, dy.options()),
                          Tensor::full(x.shape(), 7, x.options())};
  kernels_for<ops::ConvKernels>(x).forward(context, {x, weight, &bias, attributes, out[0]});
  kernels_for<ops::FusedConvKernels>(x).forward(
      context, {x, weight, nullptr, &bias, &residual, fused, out[1]});
  kernels_for<ops::ConvKernels>(x).backward_data(context, {dy, weight, attributes, out[2]});
  return out;
}

TEST(Winograd, MatchesReferenceWithinItsBound) {
  ExecContext reference = only("reference", 2);
  for (const WinogradCase& c : winograd_cases) {
    const std::vector<Tensor> expected = winograd_results(reference, c, DType::f64);
    for (const InstructionSet set : instruction_sets()) {
      ExecContext engine = only("cpu_winograd", 2, set);
      const std::vector<Tensor> actual = winograd_results(engine, c, DType::f32);
      for (size_t i = 0; i < actual.size(); ++i)
        EXPECT_LT(relative_error(actual[i], expected[i]), kBound)
            << c.name << " " << name_of(set) << " result " << i;
    }
  }
}

Tensor weight_gradient(ExecContext& context, const WinogradCase& c, DType dtype,
                       MemoryFormat format, Tensor* dbias = nullptr) {
  const Tensor x = random(c.x(), 1, MemoryFormat::channels_last).to(dtype),
               dy = random(c.y(), 2, MemoryFormat::channels_last).to(dtype);
  Tensor dweight = Tensor::full(c.weight(), 7, {.dtype = dtype, .format = format});
  kernels_for<ops::ConvKernels>(x).backward_weight(context,
                                                   {x, dy, c.attributes(), &dweight, dbias});
  return dweight.to(MemoryFormat::contiguous);
}

const WinogradCase winograd_gradient_cases[] = {
    {"whole tiles", 8, 32, 12, 12, 32},
    {"parts of tiles", 5, 33, 13, 15, 41},
    {"no padding", 4, 48, 15, 17, 70, 0, 0, 0, 0},
    {"uneven padding", 3, 40, 18, 13, 35, 2, 0, 0, 3},
    {"several blocks of tiles", 3, 64, 41, 43, 64},
    {"and several passes over the output channels", 60, 1000, 3, 3, 64},
};

TEST(Winograd, WeightGradientsMatchReferenceWithinTheirBound) {
  ExecContext reference = only("reference", 2);
  for (const WinogradCase& c : winograd_gradient_cases) {
    Tensor expected_bias = Tensor::zeros({c.k}, {.dtype = DType::f64});
    const Tensor expected =
        weight_gradient(reference, c, DType::f64, MemoryFormat::contiguous, &expected_bias);
    for (const InstructionSet set : instruction_sets())
      for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        ExecContext engine = only("cpu_winograd", 2, set);
        Tensor bias = Tensor::zeros({c.k});
        EXPECT_LT(relative_error(weight_gradient(engine, c, DType::f32, format, &bias), expected),
                  kBound)
            << c.name << " " << name_of(set);
        EXPECT_LT(relative_error(bias, expected_bias), tolerance(DType::f32)) << c.name;
      }
  }
}

TEST(Winograd, WeightGradientsDependNotOnThreads) {
  for (const WinogradCase& c : winograd_gradient_cases)
    for (const InstructionSet set : instruction_sets()) {
      ExecContext one = only("cpu_winograd", 1, set), three = only("cpu_winograd", 3, set);
      EXPECT_EQ(weight_gradient(three, c, DType::f32, MemoryFormat::contiguous).to_doubles(),
                weight_gradient(one, c, DType::f32, MemoryFormat::contiguous).to_doubles())
          << c.name << " " << name_of(set);
    }
}

TEST(Winograd, BitsDependOnNeitherThreadsNorBatch) {
  for (const WinogradCase& c : winograd_cases)
    for (const InstructionSet set : instruction_sets()) {
      ExecContext one = only("cpu_winograd", 1, set), three = only("cpu_winograd", 3, set);
      const std::vector<Tensor> expected = winograd_results(one, c, DType::f32);
      const std::vector<Tensor> threads = winograd_results(three, c, DType::f32);
      const std::vector<Tensor> alone = winograd_results(three, c, DType::f32, c.n - 1);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(threads[i].to_doubles(), expected[i].to_doubles())
            << c.name << " " << name_of(set);
        EXPECT_EQ(alone[i].to_doubles(), expected[i].narrow_batch(c.n - 1, 1).clone().to_doubles())
            << c.name << " " << name_of(set);
      }
    }
}

TEST(Winograd, LeavesOtherConvolutionsAlone) {
  ExecContext context = only("cpu_winograd");
  const auto takes = [&](const Shape& x, const Shape& weight, const ops::Window& window,
                         DType dtype) {
    const ops::ConvAttributes attributes{window};
    const Tensor in = random(x, 1, MemoryFormat::channels_last, dtype),
                 filter = random(weight, 2, {}, dtype);
    Tensor y = Tensor::empty(ops::conv_output_shape(x, weight, attributes), in.options());
    try {
      kernels_for<ops::ConvKernels>(in).forward(context, {in, filter, nullptr, attributes, y});
    } catch (const Error&) {
      return false;
    }
    return true;
  };
  const ops::Window window = ops::square_window(3, 1, 1);
  EXPECT_TRUE(takes({1, 32, 12, 12}, {32, 32, 3, 3}, window, DType::f32));
  EXPECT_FALSE(takes({1, 32, 12, 12}, {32, 32, 3, 3}, window, DType::f64));
  EXPECT_FALSE(takes({8, 32, 11, 12}, {32, 32, 3, 3}, window, DType::f32));  // whatever the batch
  EXPECT_FALSE(takes({1, 16, 12, 12}, {32, 16, 3, 3}, window, DType::f32));
  EXPECT_FALSE(takes({1, 32, 24, 24}, {32, 32, 3, 3}, ops::square_window(3, 2, 1), DType::f32));
  EXPECT_FALSE(takes({1, 32, 16, 16}, {32, 32, 3, 3}, ops::square_window(3, 1, 2, 2), DType::f32));
  EXPECT_FALSE(takes({1, 32, 16, 16}, {32, 32, 5, 5}, ops::square_window(5, 1, 2), DType::f32));
}

}  // namespace
}  // namespace graft
