// Element-wise functions beyond ReLU and arithmetic: activations, powers, extremes, where, cast,
// tests and integers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/layers/functional/elementwise.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using ops::Binary;
using ops::Unary;
using test::activation;
using test::OpCase;
using test::OpInput;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

OpCase unary_case(std::string name, ops::UnaryAttributes attributes, double low = -3,
                  double high = 3, const Shape& shape = {4, 11}) {
  return {
      std::move(name), {activation(shape, low, high)}, [attributes](std::span<const Tensor> in) {
        return std::vector<Tensor>{functional::unary(in[0], attributes)};
      }};
}

OpCase binary_case(std::string name, Binary function, OpInput a, OpInput b) {
  OpCase op{std::move(name), {std::move(a), std::move(b)}, [function](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::binary(in[0], in[1], function)};
            }};
  op.forward_dtypes = {};  // what is near a multiple in 16 bits falls on either side of it
  return op;
}

OpInput truth(const Shape& shape) { return {shape, test::Role::labels, false, 0, 2}; }

OpCase where_case(std::string name, const Shape& condition, const Shape& a, const Shape& b) {
  OpCase op{std::move(name),
            {truth(condition), activation(a), activation(b)},
            [](std::span<const Tensor> in) {
              return std::vector<Tensor>{
                  functional::where(functional::cast(in[0], DType::boolean), in[1], in[2])};
            }};
  op.forward_dtypes = {DType::bf16, DType::f16, DType::i64,    DType::i32,
                       DType::i8,   DType::u8,  DType::boolean};
  op.keeps_layout = false;
  return op;
}

std::vector<OpCase> cases() {
  return {
      unary_case("reciprocal", {Unary::reciprocal}, 0.2, 3),
      unary_case("floor", {Unary::floor}),
      unary_case("ceil", {Unary::ceil}),
      unary_case("round", {Unary::round}),
      unary_case("sign", {Unary::sign}),
      unary_case("erf", {Unary::erf}),
      unary_case("sin", {Unary::sin}),
      unary_case("cos", {Unary::cos}),
      unary_case("tan", {Unary::tan}, -1.3, 1.3),
      unary_case("asin", {Unary::asin}, -0.95, 0.95),
      unary_case("acos", {Unary::acos}, -0.95, 0.95),
      unary_case("atan", {Unary::atan}),
      unary_case("sinh", {Unary::sinh}),
      unary_case("cosh", {Unary::cosh}),
      unary_case("asinh", {Unary::asinh}),
      unary_case("acosh", {Unary::acosh}, 1.1, 4),
      unary_case("atanh", {Unary::atanh}, -0.95, 0.95),
      unary_case("softplus", {Unary::softplus}),
      unary_case("softplus_wide", {Unary::softplus}, -60, 60),
      unary_case("softsign", {Unary::softsign}),
      unary_case("leaky_relu", {Unary::leaky_relu, 0.1}),
      unary_case("elu", {Unary::elu, 0.7}),
      unary_case("selu", {Unary::selu, 1.6732632423543772, 1.0507009873554805}),
      unary_case("celu", {Unary::celu, 1.7}),
      unary_case("hard_sigmoid", {Unary::hard_sigmoid, 1.0 / 6, 0.5}, -5, 5),
      unary_case("hard_sigmoid_onnx", {Unary::hard_sigmoid, 0.2, 0.5}, -4, 4),
      unary_case("hard_swish", {Unary::hard_swish}, -5, 5),
      unary_case("thresholded_relu", {Unary::thresholded_relu, 0.8}),
      unary_case("shrink", {Unary::shrink, 0.6, 0.2}),
      unary_case("clip", {Unary::clip, -0.7, 1.2}),
      unary_case("gelu", {Unary::gelu}),
      unary_case("gelu_tanh", {Unary::gelu_tanh}),
      unary_case("silu", {Unary::silu}, -3, 3, {2, 3, 3, 2}),
      unary_case("swish_alpha", {Unary::silu, 1.7}),
      unary_case("mish", {Unary::mish}),
      binary_case("pow", Binary::pow, activation({3, 7}, 0.2, 3), activation({3, 7}, -2, 2)),
      binary_case("mod", Binary::mod, activation({3, 7}, -5, 5), activation({7}, 0.7, 2)),
      binary_case("fmod", Binary::fmod, activation({3, 7}, -5, 5), activation({7}, 0.7, 2)),
      binary_case("min", Binary::min, activation({2, 3, 4, 3}, -2, 2),
                  activation({1, 3, 1, 1}, -2, 2)),
      binary_case("max", Binary::max, activation({2, 3, 4, 3}, -2, 2),
                  activation({2, 3, 4, 3}, -2.1, 2)),
      binary_case("prelu", Binary::prelu, activation({2, 3, 4, 3}, -2, 2),
                  activation({3, 1, 1}, -2, 2)),
      where_case("where", {3, 4}, {3, 4}, {3, 4}),
      where_case("where_broadcast", {3, 1}, {2, 1, 4}, Shape{}),
      where_case("where_image", {2, 1, 3, 4}, {2, 3, 3, 4}, {2, 3, 3, 4}),
  };
}
GRAFT_OP_CASES(Elementwise, cases(), "elementwise.safetensors", "unary", "binary");

std::vector<double> truths(const Tensor& t) {
  EXPECT_EQ(t.dtype(), DType::boolean);
  return t.to_doubles();
}

TEST(Elementwise, ComparisonsAndLogic) {
  const Tensor a = Tensor::of<float>({4}, {1, 2, 3, NAN}), b = Tensor::of<float>({4}, {2, 2, 2, 2});
  const auto holds = [&](Binary function) { return truths(functional::binary(a, b, function)); };
  EXPECT_EQ(holds(Binary::less), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(holds(Binary::less_or_equal), (std::vector<double>{1, 1, 0, 0}));
  EXPECT_EQ(holds(Binary::greater), (std::vector<double>{0, 0, 1, 0}));
  EXPECT_EQ(holds(Binary::greater_or_equal), (std::vector<double>{0, 1, 1, 0}));
  EXPECT_EQ(holds(Binary::equal), (std::vector<double>{0, 1, 0, 0}));
  EXPECT_EQ(holds(Binary::not_equal), (std::vector<double>{1, 0, 1, 1}));
  const Tensor u = Tensor::of<bool>({4}, {false, false, true, true}),
               v = Tensor::of<bool>({4}, {false, true, false, true});
  EXPECT_EQ(truths(functional::binary(u, v, Binary::logical_and)),
            (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ(truths(functional::binary(u, v, Binary::logical_or)),
            (std::vector<double>{0, 1, 1, 1}));
  EXPECT_EQ(truths(functional::binary(u, v, Binary::logical_xor)),
            (std::vector<double>{0, 1, 1, 0}));
  EXPECT_EQ(truths(functional::logical_not(u)), (std::vector<double>{1, 1, 0, 0}));
  const Tensor odd = Tensor::of<double>({4}, {kInfinity, -kInfinity, NAN, 0});
  EXPECT_EQ(truths(functional::is_nan(odd)), (std::vector<double>{0, 0, 1, 0}));
  EXPECT_EQ(truths(functional::is_inf(odd)), (std::vector<double>{1, 1, 0, 0}));
  EXPECT_EQ(truths(functional::is_inf(odd, false, true)), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(truths(functional::is_inf(Tensor::of<int32_t>({1}, {7}))), (std::vector<double>{0}));
}

TEST(Elementwise, Integers) {
  const Tensor a = Tensor::of<int32_t>({5}, {-7, 7, -7, 7, 5}),
               b = Tensor::of<int32_t>({5}, {3, 3, -3, -3, 0});
  const auto with = [&](Binary function) {
    return functional::binary(a, b, function).to_doubles();
  };
  EXPECT_EQ(with(Binary::div), (std::vector<double>{-2, 2, 2, -2, 0}));
  EXPECT_EQ(with(Binary::mod), (std::vector<double>{2, 1, -1, -2, 0}));
  EXPECT_EQ(with(Binary::fmod), (std::vector<double>{-1, 1, -1, 1, 0}));
  EXPECT_EQ(with(Binary::pow), (std::vector<double>{-343, 343, 0, 0, 1}));
  EXPECT_EQ(with(Binary::min), (std::vector<double>{-7, 3, -7, -3, 0}));
  const Tensor u = Tensor::of<uint8_t>({3}, {0x81, 0x0f, 1}),
               v = Tensor::of<uint8_t>({3}, {1, 2, 9});
  EXPECT_EQ(functional::binary(u, v, Binary::shift_left).to_doubles(),
            (std::vector<double>{2, 0x3c, 0}));
  EXPECT_EQ(functional::binary(u, v, Binary::shift_right).to_doubles(),
            (std::vector<double>{0x40, 3, 0}));
  EXPECT_EQ(functional::binary(u, v, Binary::bit_xor).to_doubles(),
            (std::vector<double>{0x80, 0x0d, 8}));
  EXPECT_EQ(functional::unary(u, Unary::bitwise_not).to_doubles(),
            (std::vector<double>{0x7e, 0xf0, 0xfe}));
  const Tensor signs = Tensor::of<int8_t>({4}, {-100, 100, -100, -100}),
               counts = Tensor::of<int8_t>({4}, {2, 9, 9, -1});
  EXPECT_EQ(functional::binary(signs, counts, Binary::shift_right).to_doubles(),
            (std::vector<double>{-25, 0, -1, -1}));
  EXPECT_EQ(functional::binary(signs, counts, Binary::shift_left).to_doubles(),
            (std::vector<double>{112, 0, 0, 0}));
  const int64_t least = std::numeric_limits<int64_t>::min();
  const Tensor extreme = Tensor::of<int64_t>({1}, {least}),
               minus_one = Tensor::of<int64_t>({1}, {-1});
  EXPECT_EQ(functional::div(extreme, minus_one).data<int64_t>()[0], least);
  EXPECT_EQ(functional::binary(extreme, minus_one, Binary::mod).data<int64_t>()[0], 0);
  EXPECT_EQ(functional::abs(Tensor::of<int8_t>({3}, {-5, 0, 5})).to_doubles(),
            (std::vector<double>{5, 0, 5}));
  EXPECT_EQ(functional::clip(Tensor::of<int8_t>({3}, {-5, 0, 5}), -kInfinity, 3.5).to_doubles(),
            (std::vector<double>{-5, 0, 3}));
  EXPECT_THROW(functional::sqrt(a), Error);
  EXPECT_THROW(functional::unary(Tensor::zeros({2}), Unary::bitwise_not), Error);
  EXPECT_THROW(functional::binary(Tensor::zeros({2}), Tensor::zeros({2}), Binary::shift_left),
               Error);
}

TEST(Elementwise, PowMixesTypes) {
  const Tensor base = Tensor::of<int64_t>({3}, {1, 2, 3});
  const Tensor y = functional::pow(base, Tensor::of<float>({3}, {4, 5, 0.5F}));
  EXPECT_EQ(y.dtype(), DType::i64);
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{1, 32, 1}));
  EXPECT_EQ(
      functional::pow(Tensor::of<float>({2}, {2, 4}), Tensor::of<int32_t>({}, {-1})).to_doubles(),
      (std::vector<double>{0.5, 0.25}));
}

TEST(Elementwise, NaNWinsExtremes) {
  const Tensor a = Tensor::of<float>({2}, {NAN, 1}), b = Tensor::of<float>({2}, {1, NAN});
  for (const auto function : {Binary::min, Binary::max})
    for (const double value : functional::binary(a, b, function).to_doubles())
      EXPECT_TRUE(std::isnan(value));
}

TEST(Elementwise, Casts) {
  const Tensor x = Tensor::of<double>({6}, {-1.7, 1.7, 300, -kInfinity, NAN, 0});
  EXPECT_EQ(functional::cast(x, DType::i8).to_doubles(),
            (std::vector<double>{-1, 1, 127, -128, 0, 0}));
  EXPECT_EQ(functional::cast(x, DType::u8).to_doubles(), (std::vector<double>{0, 1, 255, 0, 0, 0}));
  EXPECT_EQ(functional::cast(x, DType::boolean).to_doubles(),
            (std::vector<double>{1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(functional::cast(Tensor::of<int32_t>({2}, {300, -1}), DType::u8).to_doubles(),
            (std::vector<double>{44, 255}));
  EXPECT_EQ(functional::cast(x, DType::i64).data<int64_t>()[3],
            std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(functional::cast(x, DType::f64).is_same(x));
}

TEST(Elementwise, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2});
  EXPECT_THROW(functional::where(x, x, x), Error);
  EXPECT_THROW(functional::where(functional::is_nan(x), x, x.to(DType::f64)), Error);
  EXPECT_THROW(functional::where(functional::is_nan(x), x, Tensor::zeros({3})), Error);
}

}  // namespace
}  // namespace graft
