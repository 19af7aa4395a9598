// The engine's convolution against the reference, on every instruction set here; and that bits
// depend on neither the threads nor the batch.
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

struct Case {
  const char* name;
  int64_t n, c, h, w, k, r, s;
  int64_t stride_h = 1, stride_w = 1, dilation = 1;
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  int64_t groups = 1;

  ops::ConvAttributes attributes() const {
    ops::ConvAttributes a;
    a.window.axes = 2;
    a.window.kernel = {r, s, 1};
    a.window.stride = {stride_h, stride_w, 1};
    a.window.dilation = {dilation, dilation, 1};
    a.window.pad_begin = {top, left, 0};
    a.window.pad_end = {bottom, right, 0};
    a.groups = groups;
    return a;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {k, c / groups, r, s}; }
  Shape y() const { return ops::conv_output_shape(x(), weight(), attributes()); }
};

const Case cases[] = {
    {"pointwise", 1, 17, 5, 7, 19, 1, 1},
    {"one channel 3x3", 2, 1, 9, 9, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"stem 7x7 s2", 2, 3, 23, 21, 33, 7, 7, 2, 2, 1, 3, 3, 3, 3},
    {"stem 3x3 s1 many rows", 1, 3, 40, 37, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"few channels dilated", 1, 3, 12, 13, 7, 3, 3, 1, 1, 2, 2, 2, 2, 2},
    {"few channels far padding", 3, 5, 4, 4, 8, 3, 5, 1, 3, 1, 3, 6, 2, 5},
    {"few channels step beyond filter", 1, 2, 19, 17, 4, 2, 3, 4, 5, 1, 0, 1, 0, 0},
    {"3x3", 3, 64, 7, 5, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"3x3 s2", 2, 17, 15, 14, 64, 3, 3, 2, 2, 1, 1, 1, 1, 1},
    {"asymmetric", 2, 16, 11, 9, 17, 3, 2, 2, 1, 1, 0, 2, 1, 0},
    {"dilation 3", 1, 24, 13, 17, 9, 3, 3, 1, 1, 3, 3, 2, 1, 0},
    {"deep", 1, 600, 3, 3, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {"1x1 s2", 2, 64, 9, 9, 70, 1, 1, 2, 2},
    {"1x1 padded", 1, 9, 3, 4, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {"groups 4", 2, 32, 6, 7, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4},
    {"groups 3 s2", 2, 33, 9, 8, 51, 3, 3, 2, 2, 1, 1, 1, 1, 1, 3},
    {"depthwise", 2, 37, 9, 10, 37, 3, 3, 1, 1, 1, 1, 1, 1, 1, 37},
    {"depthwise s2 5x5", 1, 24, 11, 13, 24, 5, 5, 2, 2, 1, 2, 2, 2, 2, 24},
    {"depthwise x2", 1, 5, 7, 6, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1, 5},
    {"rows over one block", 1, 20, 19, 23, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1},
};

Tensor forward(ExecContext& context, const Case& c, const Tensor& x, const Tensor& weight,
               const Tensor* bias) {
  Tensor y = Tensor::full(Shape{x.shape()[0], c.k, c.y()[2], c.y()[3]}, 7, x.options());
  kernels_for<ops::ConvKernels>(x).forward(context, {x, weight, bias, c.attributes(), y});
  return y;
}

TEST(CpuConv, ForwardMatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const Case& c : cases)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const MemoryFormat weight_format :
           {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        const Tensor x = random(c.x(), 1, MemoryFormat::channels_last, dtype);
        const Tensor weight = random(c.weight(), 2, weight_format, dtype),
                     bias = random({c.k}, 3, {}, dtype);
        const Tensor expected = forward(reference, c, x, weight, &bias);
        for (const InstructionSet set : instruction_sets()) {
          ExecContext engine = only("cpu_nhwc", 2, set);
          EXPECT_LT(relative_error(forward(engine, c, x, weight, &bias), expected),
                    tolerance(dtype))
              << c.name << " " << name_of(set) << " " << name_of(dtype) << " weight "
              << name_of(weight_format);
        }
      }
}

TEST(CpuConv, ForwardBitsDependOnNeitherThreadsNorBatch) {
  for (const Case& c : cases)
    for (const InstructionSet set : instruction_sets()) {
      const Tensor x = random(Shape{5, c.c, c.h, c.w}, 1, MemoryFormat::channels_last),
                   weight = random(c.weight(), 2);
      ExecContext one = only("cpu_nhwc", 1, set);
      const Tensor expected = forward(one, c, x, weight, nullptr);
      for (const int threads : {2, 4}) {
        ExecContext many = only("cpu_nhwc", threads, set);
        EXPECT_EQ(forward(many, c, x, weight, nullptr).to_doubles(), expected.to_doubles())
            << c.name;
      }
      ExecContext two = only("cpu_nhwc", 2, set);
      const Tensor alone = forward(two, c, x.narrow_batch(3, 1).clone(), weight, nullptr);
      EXPECT_EQ(alone.to_doubles(), expected.narrow_batch(3, 1).clone().to_doubles()) << c.name;
    }
}

TEST(CpuConv, FusedMatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const Case& c : cases)
    for (const bool with_residual : {false, true})
      for (const auto activation :
           {ops::FusedActivation::none, ops::FusedActivation::relu, ops::FusedActivation::relu6}) {
        const Tensor x = random(c.x(), 1, MemoryFormat::channels_last),
                     weight = random(c.weight(), 2);
        const Tensor bias = random({c.k}, 3),
                     residual = random(c.y(), 4, MemoryFormat::channels_last);
        const ops::FusedConvAttributes attributes{c.attributes(), activation};
        const auto run = [&](ExecContext& context, bool pack) {
          const ops::FusedConvKernels& kernels = kernels_for<ops::FusedConvKernels>(x);
          std::shared_ptr<const ops::PackedWeight> packed;
          if (pack) kernels.pack(context, {weight, attributes, packed});
          Tensor y = Tensor::empty(c.y(), x.options());
          kernels.forward(context, {x, weight, packed.get(), &bias,
                                    with_residual ? &residual : nullptr, attributes, y});
          return y;
        };
        const Tensor expected = run(reference, true);
        for (const InstructionSet set : instruction_sets()) {
          ExecContext engine = only("cpu_nhwc", 2, set);
          const Tensor packed = run(engine, true);
          EXPECT_LT(relative_error(packed, expected), tolerance(DType::f32))
              << c.name << " " << name_of(set);
          EXPECT_EQ(packed.to_doubles(), run(engine, false).to_doubles()) << c.name;
        }
      }
}

// bfloat16 images: the pairs' kernels where the machine has them and the channels are even, else by
// way of float.
TEST(CpuConv, FusedInBfloat16MatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const Case& c : cases) {
    const auto image = [](const Shape& shape, uint64_t seed) {
      return random(shape, seed, MemoryFormat::channels_last).to(DType::bf16);
    };
    const Tensor x = image(c.x(), 1), residual = image(c.y(), 4), weight = random(c.weight(), 2),
                 bias = random({c.k}, 3);
    const ops::FusedConvAttributes attributes{c.attributes(), ops::FusedActivation::relu};
    const ops::FusedConvKernels& kernels = kernels_for<ops::FusedConvKernels>(x);
    const auto run = [&](ExecContext& context, bool pack) {
      std::shared_ptr<const ops::PackedWeight> packed;
      if (pack) kernels.pack(context, {weight, attributes, packed});
      Tensor y = Tensor::empty(c.y(), x.options());
      kernels.forward(context, {x, weight, packed.get(), &bias, &residual, attributes, y});
      return y;
    };
    const Tensor expected = run(reference, false);
    for (const std::string kernel : {"cpu_avx512_bf16", "cpu_widened"}) {
      ExecContext engine(2, machine_instruction_set()), one(1, machine_instruction_set());
      for (ExecContext* context : {&engine, &one})
        context->set_kernel_filter([&](std::string_view pass, std::string_view name) {
          return name == kernel || pass == "fused_conv pack" || name == "reference";
        });
      const Tensor actual = run(engine, true);
      EXPECT_LT(relative_error(actual, expected), 1e-2) << c.name << " " << kernel;
      EXPECT_EQ(actual.to_doubles(), run(one, false).to_doubles()) << c.name << " " << kernel;
    }
  }
}

struct Gradients {
  Tensor dx, dweight, dbias;
};
Gradients backward(ExecContext& context, const Case& c, const Tensor& x, const Tensor& weight,
                   const Tensor& dy) {
  Gradients g{Tensor::full(x.shape(), 7, x.options()),
              Tensor::full(weight.shape(), 7, weight.options()),
              Tensor::full({c.k}, 7, {.dtype = x.dtype()})};
  kernels_for<ops::ConvKernels>(x).backward_data(context, {dy, weight, c.attributes(), g.dx});
  kernels_for<ops::ConvKernels>(x).backward_weight(context,
                                                   {x, dy, c.attributes(), &g.dweight, &g.dbias});
  return g;
}

TEST(CpuConv, BackwardMatchesReference) {
  ExecContext reference = only("reference", 2);
  for (const Case& c : cases)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const MemoryFormat weight_format :
           {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        const Tensor x = random(c.x(), 1, MemoryFormat::channels_last, dtype);
        const Tensor weight = random(c.weight(), 2, weight_format, dtype);
        const Tensor dy = random(c.y(), 5, MemoryFormat::channels_last, dtype);
        const Gradients expected = backward(reference, c, x, weight, dy);
        for (const InstructionSet set : instruction_sets()) {
          ExecContext engine = only("cpu_nhwc", 2, set);
          const Gradients actual = backward(engine, c, x, weight, dy);
          const std::string what = std::string(c.name) + " " + std::string(name_of(set)) + " " +
                                   std::string(name_of(dtype));
          EXPECT_LT(relative_error(actual.dx, expected.dx), tolerance(dtype)) << what;
          EXPECT_LT(relative_error(actual.dweight, expected.dweight), tolerance(dtype)) << what;
          EXPECT_LT(relative_error(actual.dbias, expected.dbias), tolerance(dtype)) << what;
        }
      }
}

TEST(CpuConv, BackwardBitsDependOnNeitherThreadsNorBatch) {
  for (const Case& c : cases)
    for (const InstructionSet set : instruction_sets()) {
      const Tensor x = random(Shape{5, c.c, c.h, c.w}, 1, MemoryFormat::channels_last),
                   weight = random(c.weight(), 2);
      const Tensor dy = random(Shape{5, c.k, c.y()[2], c.y()[3]}, 5, MemoryFormat::channels_last);
      ExecContext one = only("cpu_nhwc", 1, set);
      const Gradients expected = backward(one, c, x, weight, dy);
      for (const int threads : {2, 4}) {
        ExecContext many = only("cpu_nhwc", threads, set);
        const Gradients actual = backward(many, c, x, weight, dy);
        EXPECT_EQ(actual.dx.to_doubles(), expected.dx.to_doubles()) << c.name;
        EXPECT_EQ(actual.dweight.to_doubles(), expected.dweight.to_doubles()) << c.name;
        EXPECT_EQ(actual.dbias.to_doubles(), expected.dbias.to_doubles()) << c.name;
      }
      const Gradients alone =
          backward(one, c, x.narrow_batch(3, 1).clone(), weight, dy.narrow_batch(3, 1).clone());
      EXPECT_EQ(alone.dx.to_doubles(), expected.dx.narrow_batch(3, 1).clone().to_doubles())
          << c.name;
    }
}

// Several splits of the pixels, with more than one block of each kind.
TEST(CpuConv, BackwardWeightOfManyPixels) {
  const Case c{"many pixels", 3, 48, 37, 35, 263, 3, 3, 1, 1, 1, 1, 1, 1, 1};
  const Tensor x = random(c.x(), 1, MemoryFormat::channels_last),
               dy = random(c.y(), 5, MemoryFormat::channels_last);
  const Tensor weight = random(c.weight(), 2);
  ExecContext precise = only("cpu_nhwc", 2, InstructionSet::portable);
  const Gradients expected =
      backward(precise, c, x.to(DType::f64), weight.to(DType::f64), dy.to(DType::f64));
  for (const InstructionSet set : instruction_sets()) {
    ExecContext engine = only("cpu_nhwc", 2, set), one = only("cpu_nhwc", 1, set);
    const Gradients actual = backward(engine, c, x, weight, dy);
    EXPECT_LT(relative_error(actual.dx, expected.dx), 1e-5);
    EXPECT_LT(relative_error(actual.dweight, expected.dweight), 1e-5);
    EXPECT_LT(relative_error(actual.dbias, expected.dbias), 1e-5);
    EXPECT_EQ(actual.dweight.to_doubles(), backward(one, c, x, weight, dy).dweight.to_doubles());
  }
}

}  // namespace
}  // namespace graft
