// CTC loss: PyTorch's values, all paths counted one by one, gradients, and what is refused.
#include "graft/layers/functional/ctc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/softmax.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

struct CtcVariant {
  Shape logits{3, 9, 5};
  std::vector<std::vector<int64_t>> labels{{1, 2, 3}, {4, 4}, {}};
  functional::CtcOptions options{};
  double range = 2;
};

Tensor ctc_rows(const std::vector<std::vector<int64_t>>& labels, int64_t most) {
  Tensor rows = Tensor::empty({std::ssize(labels), most}, {.dtype = DType::i64});
  int64_t* to = rows.mutable_data<int64_t>();
  std::fill_n(to, rows.numel(), ops::kNoCtcLabel);
  for (const auto& own : labels) {
    std::copy(own.begin(), own.end(), to);
    to += most;
  }
  return rows;
}

OpCase ctc_case(std::string name, const CtcVariant& v) {
  OpCase op{
      std::move(name),
      {test::matched(v.logits, -v.range, v.range)},
      [v](std::span<const Tensor> in) {
        return std::vector<Tensor>{functional::ctc_loss(in[0], ctc_rows(v.labels, 5), v.options)};
      }};
  op.golden = false;
  return op;
}

std::vector<OpCase> ctc_cases() {
  return {
      ctc_case("mean", {}),
      ctc_case("sum", {.options = {.reduction = ops::Reduction::sum}}),
      ctc_case("just_fits", {.logits = {2, 5, 4}, .labels = {{1, 1, 2, 3}, {1, 2, 3, 1, 2}}}),
      ctc_case("last_blank", {.labels = {{0, 1, 2}, {2, 2}, {3}}, .options = {.blank = 4}}),
      ctc_case("one_step", {.logits = {2, 1, 3}, .labels = {{2}, {}}}),
      ctc_case("wide_range", {.range = 20}),
      ctc_case("lengths", {.options = {.lengths = Tensor::of<int64_t>({3}, {9, 4, 2})}}),
      ctc_case("two_of_three_unreachable",
               {.logits = {3, 2, 5}, .options = {.zero_infinity = true}}),
  };
}

class CtcCases : public ::testing::TestWithParam<OpCase> {};
TEST_P(CtcCases, KernelsAgreeWithReference) { test::expect_kernels_agree(GetParam()); }
TEST_P(CtcCases, GradientMatchesFiniteDifferences) { test::expect_gradient(GetParam()); }
TEST(CtcList, EveryKernelTakesACase) {
  const std::vector<OpCase> cases = ctc_cases();
  test::expect_all_kernels_reached(cases);
}
INSTANTIATE_TEST_SUITE_P(Ctc, CtcCases, ::testing::ValuesIn(ctc_cases()), test::op_case_name);

const StateDict& ctc_goldens() {
  static const io::WeightFile file = io::read_weights(GRAFT_TEST_DATA "/ctc/goldens.npz");
  return file.tensors;
}

TEST(CtcLoss, EqualsPyTorch) {
  for (const std::string name :
       {"plain", "repeats", "just_fits", "empty", "lengths", "last_blank", "sharp", "unreachable"})
    for (const bool mean : {true, false})
      for (const DType dtype : {DType::f64, DType::f32}) {
        SCOPED_TRACE(str(name, mean ? " mean " : " sum ", name_of(dtype)));
        const Tensor stored = ctc_goldens().at(name + "_logits");
        const Tensor logits = Tensor::of<double>(stored.shape(), stored.to_doubles()).to(dtype);
        set_requires_grad(logits, true);
        functional::CtcOptions options{
            .blank = name == "last_blank" ? 3 : 0,
            .reduction = mean ? ops::Reduction::mean : ops::Reduction::sum,
            .zero_infinity = true,
            .lengths = ctc_goldens().find(name + "_lengths")};
        const Tensor loss =
            functional::ctc_loss(logits, ctc_goldens().at(name + "_target"), options);
        const std::string golden = name + (mean ? "_mean" : "_sum");
        const double expected = ctc_goldens().at(golden).to_doubles()[0];
        EXPECT_NEAR(loss.item(), expected, 1e-5 * std::max(1.0, std::abs(expected)));
        backward(loss);
        const double error = test::relative_error(
            grad_of(logits).to_doubles(), ctc_goldens().at(golden + "_gradient").to_doubles());
        EXPECT_LT(error, 1e-5);
      }
}

// What a path of classes spells: repeats are one, blanks nothing.
std::vector<int64_t> spelled(const std::vector<int64_t>& path) {
  std::vector<int64_t> labels;
  for (size_t t = 0; t < path.size(); ++t)
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) labels.push_back(path[t]);
  return labels;
}

TEST(CtcLoss, IsTheSumOverAllPaths) {
  constexpr int64_t steps = 5, classes = 3;
  const Tensor logits = test::distinct_values({1, steps, classes}, -2, 2, 5);
  const std::vector<double> p = functional::softmax(logits, 2).to_doubles();
  const std::vector<int64_t> labels{1, 1, 2};
  double sum = 0;
  for (int64_t k = 0; k < 243; ++k) {
    std::vector<int64_t> path;
    double product = 1;
    for (int64_t t = 0, rest = k; t < steps; ++t, rest /= classes) {
      path.push_back(rest % classes);
      product *= p[static_cast<size_t>(t * classes + rest % classes)];
    }
    if (spelled(path) == labels) sum += product;
  }
  const Tensor loss =
      functional::ctc_loss(logits, ctc_rows({labels}, 3), {.reduction = ops::Reduction::sum});
  EXPECT_NEAR(loss.item(), -std::log(sum), 1e-12);
}

// Equal logits: each of C^T paths is as likely, and of T steps T (T + 1) / 2 spell one label.
TEST(CtcLoss, OfEqualLogitsHasAClosedForm) {
  const Tensor logits = Tensor::zeros({1, 6, 4}, {.dtype = DType::f64});
  const Tensor one =
      functional::ctc_loss(logits, ctc_rows({{2}}, 1), {.reduction = ops::Reduction::sum});
  EXPECT_NEAR(one.item(), -std::log(21 / std::pow(4.0, 6)), 1e-12);
  const Tensor none = functional::ctc_loss(logits, ctc_rows({{}}, 1), {});
  EXPECT_NEAR(none.item(), 6 * std::log(4.0), 1e-12);
}

TEST(CtcLoss, OfUnreachableLabelsIsInfiniteOrNone) {
  const Tensor logits = test::distinct_values({2, 4, 3}, -1, 1, 3);
  set_requires_grad(logits, true);
  const Tensor rows = ctc_rows({{1, 1, 1}, {1, 2}}, 3);  // the first needs five steps
  const Tensor infinite = functional::ctc_loss(logits, rows);
  EXPECT_EQ(infinite.item(), std::numeric_limits<double>::infinity());
  const Tensor finite = functional::ctc_loss(logits, rows, {.zero_infinity = true});
  EXPECT_GT(finite.item(), 0);
  backward(finite);
  const std::vector<double> gradient = grad_of(logits).to_doubles();
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(gradient[i], 0);
  for (size_t i = 12; i < 24; ++i) EXPECT_NE(gradient[i], 0);
}

TEST(CtcLoss, CountsTheStepsThatLabelsNeed) {
  const int64_t labels[] = {1, 1, 2, 2, 2, 1};
  EXPECT_EQ(ops::ctc_steps_needed(labels, 6), 9);
  EXPECT_EQ(ops::ctc_steps_needed(labels, 0), 0);
  EXPECT_EQ(ops::ctc_labels(ctc_rows({{3, 4}}, 5).data<int64_t>(), 5), 2);
}

std::string ctc_error(const Tensor& logits, const Tensor& target,
                      const functional::CtcOptions& options = {}) {
  try {
    functional::ctc_loss(logits, target, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CtcLoss, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 3});
  const auto says = [](const std::string& error, const char* part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  says(ctc_error(Tensor::zeros({4, 3}), ctc_rows({{1}}, 1)), "expected [N,T,C]");
  says(ctc_error(x, ctc_rows({{1}, {2}}, 1)), "ctc_loss: target [2,1]");
  says(ctc_error(x, ctc_rows({{3}}, 1)), "label 3 of sample 0 is not in [0, 3)");
  says(ctc_error(x, ctc_rows({{0}}, 1)), "a label of sample 0 is the blank, 0");
  says(ctc_error(x, Tensor::of<int64_t>({1, 3}, {1, -1, 2})), "stands behind the end");
  says(ctc_error(x, ctc_rows({{1}}, 1), {.blank = 3}), "blank 3 of 3 classes");
  says(ctc_error(x, ctc_rows({{1}}, 1), {.lengths = Tensor::of<int64_t>({1}, {5})}),
       "sample 0 has 5 steps of 4");
}

}  // namespace
}  // namespace graft
