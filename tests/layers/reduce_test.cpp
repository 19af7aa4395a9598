// Sum, mean, maximum and minimum over axes.
#include "graft/layers/functional/reduce.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

OpCase reduce_case(std::string name, const Shape& x, const ops::ReduceAttributes& attributes) {
  OpCase op{.name = std::move(name),
            .inputs = {activation(x)},
            .call =
                [attributes](std::span<const Tensor> in) {
                  return std::vector<Tensor>{functional::reduce(in[0], attributes)};
                },
            .keeps_layout = false};
  if (attributes.function != ops::Reduce::mean)
    op.forward_dtypes = {DType::bf16, DType::f16, DType::i64, DType::i32};
  return op;
}

std::vector<OpCase> cases() {
  using ops::Reduce;
  return {
      reduce_case("sum_all", {2, 3, 4, 5}, {Reduce::sum}),
      reduce_case("sum_rows", {5, 7}, {Reduce::sum, {1}}),
      reduce_case("sum_columns_kept", {5, 7}, {Reduce::sum, {0}, true}),
      reduce_case("sum_two_axes", {2, 3, 4, 3}, {Reduce::sum, {0, 2}}),
      reduce_case("mean_all", {3, 5, 3}, {Reduce::mean}),
      reduce_case("mean_spatial", {2, 3, 4, 5}, {Reduce::mean, {2, 3}}),
      reduce_case("mean_channels_kept", {2, 3, 4, 5}, {Reduce::mean, {1}, true}),
      reduce_case("mean_negative_axis", {2, 3, 4}, {Reduce::mean, {-1}}),
      reduce_case("max_all", {2, 3, 3, 3}, {Reduce::max}),
      reduce_case("max_channels", {2, 5, 3, 3}, {Reduce::max, {1}}),
      reduce_case("min_rows_kept", {4, 6}, {Reduce::min, {1}, true}),
      reduce_case("min_two_axes", {2, 3, 4, 3}, {Reduce::min, {1, 3}}),
      reduce_case("sum_scalar", Shape{}, {Reduce::sum}),
      reduce_case("sum_axis_of_one", {3, 1, 2}, {Reduce::sum, {1}}),
  };
}

GRAFT_OP_CASES(Reduce, cases(), "reduce.safetensors");

TEST(Reduce, EqualExtremesShareTheGradient) {
  const Tensor x = Tensor::of<float>({2, 3}, {4, 1, 4, 2, 2, 2});
  set_requires_grad(x, true);
  const Tensor y = functional::reduce(x, {ops::Reduce::max, {1}});
  backward(y, Tensor::of<float>({2}, {1, 3}));
  EXPECT_EQ(grad_of(x).to_doubles(), (std::vector<double>{0.5, 0, 0.5, 1, 1, 1}));
}

TEST(Reduce, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THROW(functional::reduce(x, {ops::Reduce::sum, {2}}), Error);
  EXPECT_THROW(functional::reduce(x, {ops::Reduce::sum, {1, -1}}), Error);
  EXPECT_THROW(functional::reduce(Tensor::zeros({0, 3}), {ops::Reduce::max, {0}}), Error);
}

}  // namespace
}  // namespace graft
