// Softmax, log-softmax and the losses.
#include "graft/layers/functional/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/softmax.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::labels;
using test::matched;
using test::OpCase;
using test::OpInput;
using test::parameter;

OpCase softmax_case(std::string name, const Shape& x, int axis, bool log, double range = 3) {
  return {std::move(name), {activation(x, -range, range)}, [=](std::span<const Tensor> in) {
            return std::vector<Tensor>{log ? functional::log_softmax(in[0], axis)
                                           : functional::softmax(in[0], axis)};
          }};
}

std::vector<OpCase> softmax_cases() {
  return {
      softmax_case("softmax_rows", {3, 7}, 1, false),
      softmax_case("softmax_channels", {2, 5, 3, 2}, 1, false),
      softmax_case("softmax_batch", {4, 3}, 0, false),
      softmax_case("softmax_last", {2, 3, 5}, -1, false),
      softmax_case("softmax_one_class", {3, 1}, 1, false),
      softmax_case("softmax_wide_range", {2, 9}, 1, false, 60),
      softmax_case("log_softmax_rows", {3, 7}, 1, true),
      softmax_case("log_softmax_channels", {2, 5, 3, 2}, 1, true),
      softmax_case("log_softmax_wide_range", {2, 9}, 1, true, 200),
  };
}
GRAFT_OP_CASES(Softmax, softmax_cases(), "softmax.safetensors");

struct CrossEntropyVariant {
  int64_t rows = 5, classes = 4;
  double smoothing = 0;
  ops::Reduction reduction = ops::Reduction::mean;
  bool soft = false, weighted = false;
};

OpCase cross_entropy_case(std::string name, const CrossEntropyVariant& v) {
  std::vector<OpInput> inputs{activation({v.rows, v.classes}, -3, 3)};
  inputs.push_back(v.soft ? fixed(matched({v.rows, v.classes}, 0, 1)) : labels(v.rows, v.classes));
  if (v.weighted) inputs.push_back(fixed(parameter({v.classes}, 0.1, 2)));
  return {std::move(name), std::move(inputs), [v](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::cross_entropy(
                in[0], in[1], {v.smoothing, v.reduction, v.weighted ? in[2] : Tensor()})};
          }};
}

OpCase pair_case(std::string name, bool squared, const Shape& shape, ops::Reduction reduction,
                 double range = 3) {
  return {std::move(name),
          {activation(shape, -range, range), fixed(activation(shape, 0, 1))},
          [=](std::span<const Tensor> in) {
            return std::vector<Tensor>{
                squared ? functional::mean_squared_error(in[0], in[1], reduction)
                        : functional::binary_cross_entropy_with_logits(in[0], in[1], reduction)};
          }};
}

std::vector<OpCase> loss_cases() {
  using ops::Reduction;
  return {
      cross_entropy_case("labels", {}),
      cross_entropy_case("labels_sum", {.reduction = Reduction::sum}),
      cross_entropy_case("labels_one_sample", {.rows = 1, .classes = 7}),
      cross_entropy_case("labels_many_classes", {.rows = 3, .classes = 101}),
      cross_entropy_case("labels_one_class", {.rows = 3, .classes = 1}),
      cross_entropy_case("labels_smoothed", {.smoothing = 0.1}),
      cross_entropy_case("labels_weighted", {.weighted = true}),
      cross_entropy_case("labels_weighted_sum", {.reduction = Reduction::sum, .weighted = true}),
      cross_entropy_case("labels_weighted_smoothed", {.smoothing = 0.2, .weighted = true}),
      cross_entropy_case("soft", {.soft = true}),
      cross_entropy_case("soft_sum", {.reduction = Reduction::sum, .soft = true}),
      cross_entropy_case("soft_smoothed", {.smoothing = 0.1, .soft = true}),
      cross_entropy_case("soft_weighted", {.soft = true, .weighted = true}),
      cross_entropy_case("soft_weighted_smoothed",
                         {.smoothing = 0.3, .soft = true, .weighted = true}),
      pair_case("mse", true, {3, 5}, Reduction::mean),
      pair_case("mse_sum", true, {2, 3, 2, 3}, Reduction::sum),
      pair_case("bce", false, {3, 5}, Reduction::mean),
      pair_case("bce_sum", false, {2, 3, 2, 3}, Reduction::sum),
      pair_case("bce_wide_range", false, {4, 4}, Reduction::mean, 50),
  };
}
GRAFT_OP_CASES(Loss, loss_cases(), "loss.safetensors");

TEST(Loss, IncomingGradientScales) {
  const Tensor logits = test::distinct_values({3, 4}, -1, 1, 0),
               target = Tensor::of<int64_t>({3}, {0, 3, 1});
  set_requires_grad(logits, true);
  backward(functional::cross_entropy(logits, target));
  const std::vector<double> once = grad_of(logits).to_doubles();
  logits.set_autograd_meta(nullptr);
  set_requires_grad(logits, true);
  backward(functional::cross_entropy(logits, target), Tensor::scalar(-2.5, DType::f64));
  const std::vector<double> scaled = grad_of(logits).to_doubles();
  for (size_t i = 0; i < once.size(); ++i) EXPECT_DOUBLE_EQ(scaled[i], -2.5 * once[i]);
}

TEST(Loss, LargeLogitsDoNotOverflow) {
  const Tensor logits = Tensor::of<float>({2, 2}, {1e4f, -1e4f, 3e38f, 3e38f});
  EXPECT_FLOAT_EQ(static_cast<float>(
                      functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {0, 1})).item()),
                  static_cast<float>(std::log(2.0) / 2));
  const Tensor x = Tensor::of<float>({2}, {1e30f, -1e30f});
  EXPECT_EQ(functional::binary_cross_entropy_with_logits(x, Tensor::of<float>({2}, {1, 0})).item(),
            0);
}

TEST(Loss, RefusesWhatDoesNotFit) {
  const Tensor logits = Tensor::zeros({2, 3});
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {0, 3})), Error);
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {-1, 0})), Error);
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::of<int64_t>({3}, {0, 1, 2})), Error);
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::of<int32_t>({2}, {0, 1})), Error);
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::zeros({2, 2})), Error);
  EXPECT_THROW(
      functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {0, 1}), {.label_smoothing = 1}),
      Error);
  EXPECT_THROW(functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {0, 1}),
                                         {.class_weights = Tensor::zeros({2})}),
               Error);
  EXPECT_THROW(functional::mean_squared_error(logits, Tensor::zeros({3, 2})), Error);
  try {
    functional::cross_entropy(logits, Tensor::of<int64_t>({2}, {0, 3}));
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("label 3 of sample 1"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace graft
