// Reductions beyond sums and extremes, places of extremes, the k largest, running sums.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using ops::Reduce;
using test::activation;
using test::OpCase;

OpCase along_axes(std::string name, std::function<std::vector<Tensor>(const Tensor&)> function,
                  double low = -2, double high = 2, const Shape& shape = {2, 3, 4, 3}) {
  return {.name = std::move(name),
          .inputs = {activation(shape, low, high)},
          .call = [function](std::span<const Tensor> in) { return function(in[0]); },
          .forward_dtypes = {DType::bf16},
          .keeps_layout = false};
}
OpCase reducing(std::string name, const ops::ReduceAttributes& attributes, double low = -2,
                double high = 2, const Shape& shape = {2, 3, 4, 3}) {
  return along_axes(
      std::move(name),
      [attributes](const Tensor& x) {
        return std::vector<Tensor>{functional::reduce(x, attributes)};
      },
      low, high, shape);
}

std::vector<Tensor> both(const functional::TopK& result) { return {result.values, result.indices}; }

std::vector<OpCase> cases() {
  return {
      reducing("prod", {Reduce::prod, {1}}),
      reducing("prod_all", {Reduce::prod}, -2, 2, {2, 3}),
      reducing("l1", {Reduce::l1, {1, 3}}),
      reducing("l2", {Reduce::l2, {0, 2}, true}),
      reducing("log_sum", {Reduce::log_sum, {-1}}, 0.1, 2),
      reducing("log_sum_exp", {Reduce::log_sum_exp, {1, 2}}, -9, 9),
      reducing("log_sum_exp_far", {Reduce::log_sum_exp, {0}}, 800, 1500),
      reducing("sum_square", {Reduce::sum_square, {2, 3}}),
      along_axes(
          "cumulative_sum",
          [](const Tensor& x) { return std::vector<Tensor>{functional::cumulative_sum(x, 1)}; }),
      along_axes("cumulative_sum_back",
                 [](const Tensor& x) {
                   return std::vector<Tensor>{functional::cumulative_sum(x, 2, true, true)};
                 }),
      along_axes("topk", [](const Tensor& x) { return both(functional::topk(x, 2, 1)); }),
      along_axes("bottomk", [](const Tensor& x) { return both(functional::topk(x, 3, -1, false)); },
                 -2, 2, {4, 7}),
  };
}
GRAFT_OP_CASES(AlongAxes, cases(), "reductions.safetensors");

TEST(AlongAxes, PlacesOfExtremes) {
  const Tensor x = Tensor::of<float>({2, 4}, {1, 3, 3, 0, -1, NAN, 5, NAN});
  EXPECT_EQ(functional::argmax(x, 1).to_doubles(), (std::vector<double>{1, 1}));
  EXPECT_EQ(functional::argmax(x, -1, true, true).to_doubles(), (std::vector<double>{2, 3}));
  EXPECT_EQ(functional::argmin(x, 1, false).shape(), (Shape{2}));
  EXPECT_EQ(functional::argmin(x, 1).to_doubles(), (std::vector<double>{3, 1}));
  EXPECT_EQ(functional::argmax(Tensor::of<int8_t>({3}, {-5, 7, 7}), 0, false).to_doubles(),
            (std::vector<double>{1}));
  EXPECT_EQ(functional::topk(x, 4).indices.to_doubles(),
            (std::vector<double>{1, 2, 0, 3, 1, 3, 2, 0}));
  EXPECT_EQ(functional::topk(x, 2, 1, false).indices.to_doubles(),
            (std::vector<double>{3, 0, 0, 2}));
  set_requires_grad(x, true);
  EXPECT_FALSE(needs_grad(functional::topk(x, 1).indices));
  EXPECT_TRUE(needs_grad(functional::topk(x, 1).values));
  EXPECT_FALSE(needs_grad(functional::argmax(x, 0)));
}

TEST(AlongAxes, Integers) {
  const Tensor x = Tensor::of<int32_t>({2, 3}, {1, -2, 3, 4, 5, -6});
  const auto reduced = [&](Reduce function) {
    return functional::reduce(x, {function, {1}}).to_doubles();
  };
  EXPECT_EQ(reduced(Reduce::prod), (std::vector<double>{-6, -120}));
  EXPECT_EQ(reduced(Reduce::l1), (std::vector<double>{6, 15}));
  EXPECT_EQ(reduced(Reduce::l2), (std::vector<double>{3, 8}));
  EXPECT_EQ(reduced(Reduce::sum_square), (std::vector<double>{14, 77}));
  EXPECT_EQ(reduced(Reduce::log_sum_exp), (std::vector<double>{3, 5}));
  EXPECT_EQ(functional::cumulative_sum(x, 1, true).to_doubles(),
            (std::vector<double>{0, 1, -1, 0, 4, 9}));
}

// A product's gradient where factors are 0.
TEST(AlongAxes, ProductsOfZeros) {
  OpCase op{
      .name = "zeros", .inputs = {activation({3, 3})}, .call = [](std::span<const Tensor> in) {
        const Tensor mask = Tensor::of<double>({3, 3}, {1, 1, 1, 0, 1, 1, 0, 0, 1});
        return std::vector<Tensor>{
            functional::reduce(functional::mul(in[0], mask), {Reduce::prod, {1}})};
      }};
  test::expect_gradient(op);
}

TEST(AlongAxes, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THROW(functional::argmax(x, 2), Error);
  EXPECT_THROW(functional::argmax(Tensor::zeros({0, 3}), 0), Error);
  EXPECT_THROW(functional::topk(x, 4), Error);
  EXPECT_THROW(functional::topk(x, -1), Error);
  EXPECT_THROW(functional::cumulative_sum(x, -3), Error);
}

}  // namespace
}  // namespace graft
