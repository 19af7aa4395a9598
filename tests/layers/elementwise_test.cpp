// Functions of one tensor, of two (with broadcasting), and dropout.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/dropout.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;

OpCase unary_case(std::string name, ops::Unary function, OpInput x) {
  return {std::move(name), {std::move(x)}, [function](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::unary(in[0], function)};
          }};
}

std::vector<OpCase> unary_cases() {
  using ops::Unary;
  return {
      unary_case("relu", Unary::relu, activation({2, 3, 5, 4})),
      unary_case("relu_vector", Unary::relu, activation({131})),
      unary_case("relu_channels", Unary::relu, activation({1, 35, 2, 3})),
      unary_case("relu6", Unary::relu6, activation({2, 3, 5, 4}, -4, 10)),
      unary_case("sigmoid", Unary::sigmoid, activation({3, 37}, -9, 9)),
      unary_case("sigmoid_image", Unary::sigmoid, activation({1, 3, 3, 5}, -4, 4)),
      unary_case("tanh", Unary::tanh, activation({2, 3, 3, 5}, -4, 4)),
      unary_case("neg", Unary::neg, activation({2, 3, 3, 2})),
      unary_case("exp", Unary::exp, activation({41}, -3, 3)),
      unary_case("log", Unary::log, activation({2, 19}, 0.1, 5)),
      unary_case("sqrt", Unary::sqrt, activation({2, 19}, 0.1, 5)),
      unary_case("abs", Unary::abs, activation({2, 3, 3, 3})),
      test::kernels_only(unary_case("large_relu", ops::Unary::relu, activation({3, 40, 33, 31}))),
      test::kernels_only(
          unary_case("large_sigmoid", ops::Unary::sigmoid, activation({3, 40, 13, 11}, -20, 20))),
      unary_case("relu_scalar", Unary::relu, activation(Shape{})),
      unary_case("relu_empty", Unary::relu, activation({0, 3})),
  };
}
GRAFT_OP_CASES(Unary, unary_cases(), "unary.safetensors");

OpCase binary_case(std::string name, ops::Binary function, OpInput a, OpInput b) {
  OpCase op{std::move(name), {std::move(a), std::move(b)}, [function](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::binary(in[0], in[1], function)};
            }};
  if (function != ops::Binary::div)
    op.forward_dtypes = {DType::bf16, DType::f16, DType::i64, DType::i32};
  op.keeps_layout = op.inputs[0].shape.numel() >= op.inputs[1].shape.numel();
  return op;
}

std::vector<OpCase> binary_cases() {
  using ops::Binary;
  const OpInput image = activation({2, 3, 4, 5});
  return {
      binary_case("add", Binary::add, image, image),
      binary_case("sub", Binary::sub, image, image),
      binary_case("mul", Binary::mul, image, image),
      binary_case("div", Binary::div, image, activation({2, 3, 4, 5}, 0.3, 2)),
      binary_case("add_per_channel", Binary::add, image, activation({1, 3, 1, 1})),
      binary_case("mul_per_channel", Binary::mul, image, activation({1, 3, 1, 1})),
      binary_case("mul_squeeze_excite", Binary::mul, image, activation({2, 3, 1, 1})),
      binary_case("sub_channel_from_left", Binary::sub, activation({1, 3, 1, 1}), image),
      binary_case("div_per_channel", Binary::div, image, activation({3, 1, 1}, 0.3, 2)),
      binary_case("mul_spatial_mask", Binary::mul, image, activation({2, 1, 4, 5})),
      binary_case("add_scalar", Binary::add, image, activation(Shape{})),
      binary_case("mul_scalar", Binary::mul, image, activation({1})),
      binary_case("add_row", Binary::add, activation({5, 7}), activation({7})),
      binary_case("mul_outer", Binary::mul, activation({5, 1}), activation({1, 6})),
      binary_case("add_one_frozen", Binary::add, image, fixed(image)),
      binary_case("mul_one_frozen", Binary::mul, fixed(image), image),
      binary_case("mul_many_channels", Binary::mul, activation({1, 35, 2, 3}),
                  activation({1, 35, 1, 1})),
      test::kernels_only(binary_case("large_add", Binary::add, activation({2, 40, 33, 31}),
                                     activation({2, 40, 33, 31}))),
      test::kernels_only(binary_case("large_mul_per_channel", Binary::mul,
                                     activation({2, 40, 33, 31}), activation({1, 40, 1, 1}))),
      test::kernels_only(binary_case("large_mul_squeeze_excite", Binary::mul,
                                     activation({2, 40, 33, 31}), activation({2, 40, 1, 1}))),
      test::kernels_only(binary_case("large_sub_squeeze_excite", Binary::sub,
                                     activation({2, 40, 33, 31}), activation({2, 40, 1, 1}))),
      test::kernels_only(binary_case("large_mul_spatial_mask", Binary::mul,
                                     activation({2, 1, 33, 31}), activation({2, 40, 33, 31}))),
      binary_case("add_rank5", Binary::add, activation({2, 1, 3, 2, 2}), activation({2, 2})),
  };
}
GRAFT_OP_CASES(Binary, binary_cases(), "binary.safetensors");

TEST(Unary, SpecialValues) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const Tensor x = Tensor::of<double>({6}, {-infinity, infinity, nan, 0.0, -1e300, 1e300});
  const std::vector<double> relu = functional::relu(x).to_doubles();
  EXPECT_EQ(relu[0], 0);
  EXPECT_EQ(relu[1], infinity);
  EXPECT_TRUE(std::isnan(relu[2]));
  const std::vector<double> six = functional::relu6(x).to_doubles();
  EXPECT_EQ(six[1], 6);
  EXPECT_TRUE(std::isnan(six[2]));
  const std::vector<double> sigmoid = functional::sigmoid(x).to_doubles();
  EXPECT_EQ(sigmoid[0], 0);
  EXPECT_EQ(sigmoid[1], 1);
  EXPECT_EQ(sigmoid[3], 0.5);
  EXPECT_EQ(sigmoid[4], 0);
  EXPECT_TRUE(std::isnan(functional::tanh(x).to_doubles()[2]));
}

// PyTorch's choice at the kink: no gradient at 0.
TEST(Unary, KinksHaveNoGradient) {
  for (const auto function : {ops::Unary::relu, ops::Unary::relu6, ops::Unary::abs}) {
    const Tensor x = Tensor::of<float>({2}, {0, 6});
    set_requires_grad(x, true);
    const Tensor y = functional::unary(x, function);
    backward(y, Tensor::full({2}, 1));
    EXPECT_EQ(grad_of(x).to_doubles()[0], 0);
    EXPECT_EQ(grad_of(x).to_doubles()[1], function == ops::Unary::relu6 ? 0 : 1);
  }
}

TEST(Binary, RefusesWhatDoesNotFit) {
  EXPECT_THROW(functional::add(Tensor::zeros({2, 3}), Tensor::zeros({2})), Error);
  EXPECT_THROW(functional::add(Tensor::zeros({2}), Tensor::zeros({2}, {.dtype = DType::f64})),
               Error);
  EXPECT_THROW(
      functional::add(Tensor::zeros({1, 2, 3, 3}),
                      Tensor::zeros({1, 2, 3, 3}, {.format = MemoryFormat::channels_last})),
      Error);
}

OpCase dropout_case(std::string name, const Shape& shape, double probability) {
  return {
      .name = std::move(name),
      .inputs = {activation(shape)},
      .call =
          [probability](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::dropout(in[0], {probability, 5, 2, 7}, true)};
          },
      .golden = false};
}
GRAFT_OP_CASES(Dropout,
               (std::vector<OpCase>{dropout_case("half", {3, 17}, 0.5),
                                    dropout_case("image", {2, 3, 5, 4}, 0.2),
                                    dropout_case("nearly_all", {101}, 0.99)}),
               "");

TEST(Dropout, KeepsTheShareItShouldAndScalesIt) {
  const Tensor ones = Tensor::full({100000}, 1);
  for (const double probability : {0.1, 0.5, 0.9}) {
    double kept = 0, sum = 0;
    for (const double value : functional::dropout(ones, {probability, 1}, true).to_doubles()) {
      kept += value != 0;
      sum += value;
    }
    EXPECT_NEAR(kept / 1e5, 1 - probability, 0.006);  // four standard deviations
    EXPECT_NEAR(sum / 1e5, 1, 0.02 / (1 - probability) * 0.4);
  }
}

TEST(Dropout, MaskIsAFunctionOfTheStream) {
  const Tensor x = Tensor::full({1, 4, 5, 5}, 1);
  const auto mask = [&](const ops::DropoutAttributes& a) {
    return functional::dropout(x, a, true).to_doubles();
  };
  EXPECT_EQ(mask({0.5, 1, 2, 3}), mask({0.5, 1, 2, 3}));
  EXPECT_NE(mask({0.5, 1, 2, 3}), mask({0.5, 2, 2, 3}));
  EXPECT_NE(mask({0.5, 1, 2, 3}), mask({0.5, 1, 3, 3}));
  EXPECT_NE(mask({0.5, 1, 2, 3}), mask({0.5, 1, 2, 4}));
  EXPECT_EQ(
      functional::dropout(x.to(MemoryFormat::channels_last), {0.5, 1, 2, 3}, true).to_doubles(),
      mask({0.5, 1, 2, 3}));
  EXPECT_TRUE(functional::dropout(x, {0.5, 1, 2, 3}, false).is_same(x));
  EXPECT_THROW(functional::dropout(x, {1.0}, true), Error);
}

}  // namespace
}  // namespace graft
