// OpCase: one call of one operation. From a list of them the harness derives every check of the op:
// each registered kernel x instruction set x dtype x layout against the reference in double, the
// gradient against finite differences, and, where PyTorch's values are stored under the case's
// name, forward and gradients against those.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::test {

// How an input follows the dtype and layout that are being tested.
enum class Role : unsigned char {
  activation,  // has both
  parameter,   // float32 beside 16-bit activations; its layout varies independently
  matched,     // has the dtype, stays contiguous
  labels,      // int64 in [0, high)
};

struct OpInput {
  Shape shape;
  Role role = Role::activation;
  bool gradient = true;
  double low = -1, high = 1;
};

inline OpInput activation(const Shape& shape, double low = -1, double high = 1) {
  return {shape, Role::activation, true, low, high};
}
inline OpInput parameter(const Shape& shape, double low = -1, double high = 1) {
  return {shape, Role::parameter, true, low, high};
}
inline OpInput matched(const Shape& shape, double low = -1, double high = 1) {
  return {shape, Role::matched, true, low, high};
}
inline OpInput labels(int64_t count, int64_t classes) {
  return {Shape{count}, Role::labels, false, 0, static_cast<double>(classes)};
}
inline OpInput fixed(OpInput input) {
  input.gradient = false;
  return input;
}

struct OpCase {
  std::string name;  // letters, digits and underscores
  std::vector<OpInput> inputs;
  // The differentiable function under test. outputs[0] is differentiated; others (running
  // statistics) are compared too.
  std::function<std::vector<Tensor>(std::span<const Tensor>)> call;

  // Types beyond float64 and float32 in which the forward pass is compared.
  std::vector<DType> forward_dtypes{DType::bf16, DType::f16};
  bool keeps_layout = true;  // outputs[0] has the layout of inputs[0] when both are rank 4
  double f32_tolerance = 2e-5;
  bool golden = true;              // PyTorch's values are stored for it
  bool finite_differences = true;  // false for cases so large that it would take long
  bool per_sample =
      false;  // the bits of a sample of outputs[0] depend on that sample of the inputs alone
};

// The same cases, each with per_sample set.
inline std::vector<OpCase> per_sample(std::vector<OpCase> cases) {
  for (OpCase& op : cases) op.per_sample = true;
  return cases;
}
// For large cases: only the kernels are compared.
inline OpCase kernels_only(OpCase op) {
  op.golden = op.finite_differences = false;
  return op;
}

// Names the case in test names and messages.
void PrintTo(const OpCase& op, std::ostream* out);
std::string op_case_name(const ::testing::TestParamInfo<OpCase>& info);

// Values in (low, high), all different and none at a kink of the usual functions: a permutation of
// an even grid.
Tensor distinct_values(const Shape& shape, double low, double high, uint64_t stream);

// float64, contiguous, no gradients; stream i for input i.
std::vector<Tensor> make_inputs(const OpCase& op);

// What one call gave, in logical order. gradients[i] is empty for an input without one.
struct OpResult {
  std::vector<std::vector<double>> outputs, gradients;
  std::vector<Tensor> tensors;  // the outputs themselves
};
// Runs op on `inputs` in the current context; with `dy` (like outputs[0], any dtype or layout)
// backward too.
OpResult run_op(const OpCase& op, std::span<const Tensor> inputs, const Tensor& dy);

// The largest difference, divided by the largest magnitude of `expected` (at least 1e-3); infinity
// when sizes differ or one has a NaN where the other has none.
double relative_error(std::span<const double> actual, std::span<const double> expected);

// The three checks.
void expect_kernels_agree(const OpCase& op);
void expect_gradient(const OpCase& op);
void expect_golden(const OpCase& op, const std::string& file);  // a file of tests/data/ops

// Every kernel registered for a pass that the cases reach took at least one of them: none goes
// untested because it always declines. Kernels for instructions this machine lacks are left out.
// `borrowed`: operations whose kernels the cases use too, but which have a list of their own
// ("conv").
void expect_all_kernels_reached(std::span<const OpCase> cases,
                                std::initializer_list<std::string_view> borrowed = {});
// `file` holds no case that the list lacks.
void expect_no_stale_goldens(std::span<const OpCase> cases, const std::string& file);

}  // namespace graft::test

// Instantiates the checks for a list of cases: GRAFT_OP_CASES(Conv, conv_cases(),
// "conv.safetensors"), and after the file the operations that are borrowed, if any.
#define GRAFT_OP_CASES(Op, cases, golden_file, ...)                                               \
  class Op##Cases : public ::testing::TestWithParam<::graft::test::OpCase> {};                    \
  TEST_P(Op##Cases, KernelsAgreeWithReference) {                                                  \
    ::graft::test::expect_kernels_agree(GetParam());                                              \
  }                                                                                               \
  TEST_P(Op##Cases, GradientMatchesFiniteDifferences) {                                           \
    ::graft::test::expect_gradient(GetParam());                                                   \
  }                                                                                               \
  TEST_P(Op##Cases, AgreesWithPyTorch) { ::graft::test::expect_golden(GetParam(), golden_file); } \
  TEST(Op##List, EveryKernelTakesACase) {                                                         \
    ::graft::test::expect_all_kernels_reached(cases, {__VA_ARGS__});                              \
  }                                                                                               \
  TEST(Op##List, EveryGoldenHasACase) {                                                           \
    ::graft::test::expect_no_stale_goldens(cases, golden_file);                                   \
  }                                                                                               \
  INSTANTIATE_TEST_SUITE_P(Op, Op##Cases, ::testing::ValuesIn(cases), ::graft::test::op_case_name)
