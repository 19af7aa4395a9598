// Integers, bool, comparisons, casts and choices on the device: the numbers of the CPU, exactly.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

constexpr DType kIntegers[] = {DType::i64, DType::i32, DType::i8, DType::u8, DType::boolean};
constexpr DType kNumbers[] = {DType::i64,     DType::i32, DType::i8,   DType::u8,
                              DType::boolean, DType::f32, DType::bf16, DType::f16};

// f of tensors on the host and on the device gives the same numbers.
template <class F, class... Tensors>
void expect_hosts(const std::string& what, F&& f, const Tensors&... inputs) {
  const Tensor host = f(inputs...), there = f(to_device(inputs, test::kCuda)...);
  EXPECT_EQ(there.device(), test::kCuda) << what;
  EXPECT_EQ(there.dtype(), host.dtype()) << what;
  EXPECT_EQ(there.shape(), host.shape()) << what;
  const std::vector<double> a = there.to_doubles(), b = host.to_doubles();
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
        << what << ": " << a[i] << ", on the host " << b[i];
}

Tensor numbers(DType dtype) {
  const bool is_signed = dtype != DType::u8 && dtype != DType::boolean;
  Tensor t = Tensor::of<int64_t>(
      {4, 5}, {0, 1, 2, 3, 7, -1, -2, -3, 100, 64, 63, 5, -5, 0, 9, 127, -128, 2, 4, 6});
  if (!is_signed) t = functional::unary(t, {ops::Unary::abs});
  return t.to(dtype);
}
Tensor others(DType dtype) {
  const bool is_signed = dtype != DType::u8 && dtype != DType::boolean;
  Tensor t = Tensor::of<int64_t>({4, 5},
                                 {3, 1, 0, -3, 2, -1, 5, 2, 0, 1, 70, -1, 3, 0, 9, 2, -1, 4, 4, 1});
  if (!is_signed) t = functional::unary(t, {ops::Unary::abs});
  return t.to(dtype);
}

TEST(CudaIntegers, ArithmeticIsTheHosts) {
  test::TestDevice opened;
  using ops::Binary;
  for (const DType dtype : kIntegers)
    for (int f = 0; f <= static_cast<int>(Binary::shift_right); ++f)
      expect_hosts(
          str(name_of(dtype), ", function ", f),
          [f](const Tensor& a, const Tensor& b) {
            return functional::binary(a, b, static_cast<Binary>(f));
          },
          numbers(dtype), others(dtype));
  expect_hosts(
      "stretched", [](const Tensor& a, const Tensor& b) { return functional::add(a, b); },
      Tensor::of<int64_t>({3, 1}, {1, 2, 3}), Tensor::of<int64_t>({2}, {10, 20}));
  const int64_t least = std::numeric_limits<int64_t>::min();
  for (const Binary f :
       {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::mod, Binary::pow})
    expect_hosts(
        "at the limits",
        [f](const Tensor& a, const Tensor& b) { return functional::binary(a, b, f); },
        Tensor::of<int64_t>({3}, {least, ~least, least}), Tensor::of<int64_t>({3}, {-1, 3, least}));
}

TEST(CudaIntegers, UnaryIsTheHosts) {
  test::TestDevice opened;
  using ops::Unary;
  for (const DType dtype : kIntegers)
    for (const Unary f : {Unary::relu, Unary::relu6, Unary::neg, Unary::abs, Unary::sign,
                          Unary::bitwise_not, Unary::clip})
      expect_hosts(
          str(name_of(dtype), ", function ", static_cast<int>(f)),
          [f](const Tensor& x) {
            return functional::unary(x, {f, -2.5, 4.5});
          },
          numbers(dtype));
}

TEST(CudaPredicates, AreTheHosts) {
  test::TestDevice opened;
  using ops::Binary;
  using ops::Unary;
  for (const DType dtype : kNumbers) {
    for (int f = static_cast<int>(Binary::logical_and);
         f <= static_cast<int>(Binary::greater_or_equal); ++f) {
      const auto compare = [f](const Tensor& a, const Tensor& b) {
        return functional::binary(a, b, static_cast<Binary>(f));
      };
      expect_hosts(str(name_of(dtype), ", function ", f), compare, numbers(dtype), others(dtype));
      expect_hosts(str(name_of(dtype), ", function ", f, ", stretched"), compare, numbers(dtype),
                   Tensor::scalar(2, dtype));
    }
    for (const Unary f : {Unary::logical_not, Unary::is_nan, Unary::is_inf})
      expect_hosts(
          str(name_of(dtype), ", unary ", static_cast<int>(f)),
          [f](const Tensor& x) {
            return functional::unary(x, {f, 1, 0});
          },
          numbers(dtype));
  }
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  for (const Unary f : {Unary::is_nan, Unary::is_inf, Unary::logical_not})
    for (const double positive : {0., 1.})
      expect_hosts(
          "odd values",
          [&](const Tensor& x) {
            return functional::unary(x, {f, 1 - positive, positive});
          },
          Tensor::of<float>({5}, {inf, -inf, nan, 0, 1}));
}

TEST(CudaCast, AnyDtypeIsTheHosts) {
  test::TestDevice opened;
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor odd =
      Tensor::of<float>({9}, {inf, -inf, nan, 3e9F, -3e9F, 255.7F, -1.5F, 1e20F, 0.4F});
  constexpr DType all[] = {DType::f64, DType::f32, DType::bf16, DType::f16,    DType::i64,
                           DType::i32, DType::i8,  DType::u8,   DType::boolean};
  for (const DType from : all)
    for (const DType to : all) {
      const auto convert = [to](const Tensor& x) { return functional::cast(x, to); };
      expect_hosts(str(name_of(from), " to ", name_of(to)), convert, numbers(DType::i32).to(from));
      if (is_floating(from))
        expect_hosts(str("odd values, ", name_of(from), " to ", name_of(to)), convert,
                     odd.to(from));
    }
}

TEST(CudaReduce, IntegersAreTheHosts) {
  test::TestDevice opened;
  using ops::Reduce;
  for (const DType dtype : kIntegers)
    for (const Reduce f : {Reduce::sum, Reduce::mean, Reduce::max, Reduce::min, Reduce::prod,
                           Reduce::l1, Reduce::l2, Reduce::sum_square})
      for (const std::vector<int>& axes :
           {std::vector<int>{1}, std::vector<int>{0}, std::vector<int>{}})
        expect_hosts(
            str(name_of(dtype), ", function ", static_cast<int>(f)),
            [&](const Tensor& x) {
              return functional::reduce(x, {f, axes});
            },
            numbers(dtype));
}

TEST(CudaWhere, BitsOfAnyDtype) {
  test::TestDevice opened;
  const Tensor condition = Tensor::of<int64_t>({4, 1}, {1, 0, 0, 1}).to(DType::boolean);
  for (const DType dtype :
       {DType::i64, DType::i32, DType::u8, DType::boolean, DType::f32, DType::f64})
    expect_hosts(
        std::string(name_of(dtype)),
        [](const Tensor& c, const Tensor& a, const Tensor& b) {
          return functional::where(c, a, b);
        },
        condition, numbers(dtype), Tensor::scalar(1, dtype));
  // Numbers that the host made go to where the values are.
  const Tensor mixed =
      functional::where(condition, to_device(numbers(DType::f32), test::kCuda), Tensor::scalar(0));
  EXPECT_EQ(mixed.to_doubles(),
            functional::where(condition, numbers(DType::f32), Tensor::scalar(0)).to_doubles());
}

OpCase where_case(std::string name, const Shape& condition, const Shape& a, const Shape& b) {
  test::OpInput labels{condition, test::Role::labels, false, 0, 2};
  return {std::move(name), {labels, activation(a), activation(b)}, [](std::span<const Tensor> in) {
            Tensor c = functional::cast(in[0], DType::boolean);
            if (in[1].rank() == 4 || in[2].rank() == 4)
              c = c.to(in[1].rank() == 4 ? in[1].format() : in[2].format());
            return std::vector<Tensor>{functional::where(c, in[1], in[2])};
          }};
}
std::vector<OpCase> where_cases() {
  return {where_case("plain", {3, 4}, {3, 4}, {3, 4}),
          where_case("stretched", {3, 1}, {2, 1, 4}, Shape{}),
          where_case("image", {2, 1, 3, 4}, {2, 3, 3, 4}, {2, 3, 3, 4}),
          where_case("by_channel", {2, 3, 3, 4}, {2, 3, 3, 4}, {1, 3, 1, 1}),
          where_case("long_sum", {3000}, {1}, {3000})};
}

}  // namespace

GRAFT_DEVICE_CASES(Where, where_cases());

}  // namespace graft
