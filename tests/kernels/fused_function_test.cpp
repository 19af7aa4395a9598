// Functions that a convolution applies to its own results: the bits of the convolution and the
// function one after the other, on every instruction set, for any number of threads.
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/ops/unary.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

struct FunctionCase {
  const char* kernel;
  Shape x, weight;
  int64_t stride, pad, groups;
  DType dtype = DType::f32;
};

std::vector<FunctionCase> function_cases() {
  return {
      {"cpu_nhwc", {2, 5, 9, 8}, {19, 5, 3, 3}, 1, 1, 1},
      {"cpu_nhwc", {1, 40, 15, 14}, {70, 40, 1, 1}, 1, 0, 1},
      {"cpu_nhwc", {1, 48, 1, 1}, {200, 48, 1, 1}, 1, 0, 1},  // panels are shared out
      {"cpu_nhwc", {2, 12, 7, 6}, {18, 4, 3, 3}, 1, 1, 3},    // pixels of several groups
      {"cpu_winograd", {1, 32, 16, 15}, {33, 32, 3, 3}, 1, 1, 1},
      {"cpu_depthwise", {2, 19, 9, 8}, {19, 1, 3, 3}, 2, 1, 19},
      {"cpu_depthwise", {2, 19, 9, 8}, {19, 1, 5, 5}, 1, 2, 19, DType::bf16},
  };
}

Tensor convolved(ExecContext& context, const FunctionCase& c, const ops::FusedConvAttributes& a) {
  const Tensor x = random(c.x, 1, MemoryFormat::channels_last).to(c.dtype),
               weight = random(c.weight, 2), bias = random({c.weight[0]}, 3);
  const Shape out = ops::conv_output_shape(c.x, c.weight, a.conv);
  const Tensor residual = random(out, 4, MemoryFormat::channels_last).to(c.dtype);
  Tensor y = Tensor::empty(out, x.options());
  kernels_for<ops::FusedConvKernels>(x).forward(context,
                                                {x, weight, nullptr, &bias, &residual, a, y});
  return y;
}

TEST(FusedFunction, GivesTheBitsOfTheTwoSteps) {
  using ops::Unary;
  const ops::UnaryAttributes functions[] = {
      {Unary::silu}, {Unary::hard_swish}, {Unary::clip, -0.5, 1.5}};
  for (const FunctionCase& c : function_cases())
    for (const ops::UnaryAttributes& function : functions) {
      ops::FusedConvAttributes plain, fused;
      plain.conv.window = ops::square_window(c.weight[2], c.stride, c.pad);
      plain.conv.groups = c.groups;
      fused.conv = plain.conv;
      fused.activation = ops::FusedActivation::function;
      fused.function = function;
      for (const InstructionSet set : instruction_sets()) {
        ExecContext one = only(c.kernel, 1, set), maps = only("cpu", 1, set);
        const Tensor sums = convolved(one, c, plain);
        Tensor expected = Tensor::empty_like(sums);
        kernels_for<ops::UnaryKernels>(sums).forward(maps, {sums, function, expected});
        for (const int threads : {1, 2, 4}) {
          ExecContext context = only(c.kernel, threads, set);
          EXPECT_EQ(convolved(context, c, fused).to_doubles(), expected.to_doubles())
              << c.kernel << " " << c.weight.to_string() << " " << name_of(set) << " " << threads;
        }
      }
    }
}

// The reference is the oracle, and takes what has no vectorised maths.
TEST(FusedFunction, IsNearTheReference) {
  const FunctionCase c = function_cases()[1];
  ops::FusedConvAttributes attributes;
  attributes.conv.window = ops::square_window(1, 1, 0);
  attributes.activation = ops::FusedActivation::function;
  attributes.function = {ops::Unary::gelu};
  ExecContext reference = only("reference", 2), engine = only("cpu_nhwc", 2);
  EXPECT_LT(relative_error(convolved(engine, c, attributes), convolved(reference, c, attributes)),
            1e-5);
  attributes.function = {ops::Unary::mish};
  ExecContext any(2);
  std::string chosen;
  any.set_kernel_observer([&](const ExecContext::KernelRun& run) { chosen = run.kernel; });
  convolved(any, c, attributes);
  EXPECT_EQ(chosen, "reference");
}

}  // namespace
}  // namespace graft
