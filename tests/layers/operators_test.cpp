// Operators of tensors, and the functions that take braces: the same as functional's own names.
#include "graft/layers/functional/operators.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/functional.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

namespace fn = functional;

struct WithGradients {
  std::vector<double> y, da, db;
  bool operator==(const WithGradients&) const = default;
};

using Formula = std::function<Tensor(const Tensor& a, const Tensor& b)>;

WithGradients computed(const Formula& formula) {
  const Tensor a = test::distinct_values({2, 3}, 1, 2, 1), b = test::distinct_values({3}, 1, 2, 2);
  set_requires_grad(a, true);
  set_requires_grad(b, true);
  const Tensor y = formula(a, b);
  backward(fn::sum(fn::mul(y, test::distinct_values(y.shape(), -1, 1, 3))));
  return {y.to_doubles(), grad_of(a).to_doubles(), grad_of(b).to_doubles()};
}

Tensor number(double value) { return Tensor::scalar(value, DType::f64); }

TEST(Operators, AreTheFunctionsWithTheirGradients) {
  using T = const Tensor&;
  const std::pair<Formula, Formula> twins[]{
      {[](T a, T b) { return a + b; }, [](T a, T b) { return fn::add(a, b); }},
      {[](T a, T b) { return a - b; }, [](T a, T b) { return fn::sub(a, b); }},
      {[](T a, T b) { return a * b; }, [](T a, T b) { return fn::mul(a, b); }},
      {[](T a, T b) { return a / b; }, [](T a, T b) { return fn::div(a, b); }},
      {[](T a, T b) { return -a * b; }, [](T a, T b) { return fn::mul(fn::neg(a), b); }},
      {[](T a, T b) { return (a + 2) * (b - 3); },
       [](T a, T b) { return fn::mul(fn::add(a, number(2)), fn::sub(b, number(3))); }},
      {[](T a, T b) { return a * 2.5 + b / 4; },
       [](T a, T b) { return fn::add(fn::mul(a, number(2.5)), fn::div(b, number(4))); }},
      {[](T a, T b) { return (1 - a) * (2 / b) + 3 * a + (4 + b); },
       [](T a, T b) {
         const Tensor product = fn::mul(fn::sub(number(1), a), fn::div(number(2), b));
         return fn::add(fn::add(product, fn::mul(number(3), a)), fn::add(number(4), b));
       }},
  };
  for (const auto& [written, named] : twins) {
    const WithGradients expected = computed(named);
    EXPECT_EQ(computed(written), expected) << &written - &twins[0].first;
    EXPECT_EQ(expected.da.size(), 6u);
  }
}

TEST(Operators, ANumberHasTheTensorsTypeAndNoLayout) {
  const Tensor x =
      test::distinct_values({2, 3, 4, 5}, -1, 1, 1).to(DType::f32).to(MemoryFormat::channels_last);
  const Tensor y = 1 - 2 * x;
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_EQ(y.format(), MemoryFormat::channels_last);
  EXPECT_EQ((Tensor::of<int64_t>({7, 8, 9}) / 2).to_doubles(), (std::vector<double>{3, 4, 4}));
}

TEST(Operators, RefuseWhatDoesNotFit) {
  const Tensor whole = Tensor::of<int64_t>({7, 8, 9}), x = Tensor::of<float>({1, 2, 3});
  EXPECT_THROW(whole * 0.5, Error);
  EXPECT_THROW(Tensor::of<uint8_t>({1, 2}) + 300, Error);
  EXPECT_THROW(whole + x, Error);
  EXPECT_THROW(x + Tensor::of<float>({1, 2}), Error);
  EXPECT_THROW(Tensor() + 1, Error);
}

TEST(Operators, FunctionsTakeBraces) {
  const Tensor a = test::distinct_values({1, 2, 2, 3}, -1, 1, 1),
               b = test::distinct_values({1, 2, 2, 3}, -1, 1, 2);
  const std::vector<Tensor> both{a, b};
  EXPECT_EQ(fn::concat({a, b}).to_doubles(), fn::concat(both).to_doubles());
  EXPECT_EQ(fn::concat({a, b}, 3).shape(), (Shape{1, 2, 2, 6}));
  EXPECT_EQ(fn::transpose(a, {0, 3, 1, 2}).shape(), (Shape{1, 3, 2, 2}));
  EXPECT_EQ(fn::transpose(a, {}).shape(), (Shape{3, 2, 2, 1}));
  EXPECT_EQ(fn::split(a, {1, 2}, 3).at(1).shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(fn::tile(a, {2, 1, 1, 1}).shape(), (Shape{2, 2, 2, 3}));
  EXPECT_EQ(fn::reverse(fn::reverse(a, {3}), {3}).to_doubles(), a.to_doubles());
  EXPECT_EQ(fn::squeeze(a, {0}).shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(fn::unsqueeze(a, {0}).shape(), (Shape{1, 1, 2, 2, 3}));
  EXPECT_EQ(fn::pad(a, {0, 0, 1, 1}, {0, 0, 0, 2}, fn::PadMode::edge).shape(), (Shape{1, 2, 3, 6}));
  EXPECT_EQ(fn::interpolate(a, {4, 6}, fn::ResizeMode::nearest).shape(), (Shape{1, 2, 4, 6}));
  EXPECT_EQ(fn::einsum("nchw,nchw->n", {a, b}).to_doubles(),
            fn::einsum("nchw,nchw->n", both).to_doubles());
}

TEST(Operators, SumAndMean) {
  const Tensor x = Tensor::of<double>({{1, 2, 3}, {4, 5, 9}});
  EXPECT_EQ(fn::sum(x).item(), 24);
  EXPECT_EQ(fn::mean(x).item(), 4);
  EXPECT_EQ(fn::sum(x, {1}).to_doubles(), (std::vector<double>{6, 18}));
  EXPECT_EQ(fn::mean(x, {0}, true).shape(), (Shape{1, 3}));
}

}  // namespace
}  // namespace graft
