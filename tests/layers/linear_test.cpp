// Linear: y = x * transpose(weight) + bias.
#include "graft/layers/functional/linear.h"

#include <gtest/gtest.h>

#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::fixed;
using test::matched;
using test::OpCase;
using test::OpInput;

OpCase linear_case(std::string name, OpInput x, OpInput weight, bool bias = true) {
  std::vector<OpInput> inputs{x, weight};
  if (bias) inputs.push_back(matched({weight.shape[0]}));
  return {std::move(name), std::move(inputs), [bias](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::linear(in[0], in[1], bias ? in[2] : Tensor())};
          }};
}

std::vector<OpCase> cases() {
  std::vector<OpCase> list{
      linear_case("odd", matched({3, 5}), matched({7, 5})),
      linear_case("no_bias", matched({4, 6}), matched({3, 6}), false),
      linear_case("one_sample", matched({1, 9}), matched({4, 9})),
      linear_case("one_output", matched({5, 4}), matched({1, 4})),
      linear_case("one_feature", matched({2, 1}), matched({3, 1})),
      linear_case("wide", matched({3, 67}), matched({35, 67})),
      linear_case("tall", matched({37, 8}), matched({10, 8})),
      linear_case("frozen_weight", matched({3, 5}), fixed(matched({4, 5}))),
      linear_case("features_input", fixed(matched({3, 5})), matched({4, 5})),
      linear_case("no_samples", matched({0, 5}), matched({4, 5})),
      test::kernels_only(linear_case("large", matched({33, 515}), matched({130, 515}))),
      test::kernels_only(linear_case("large_head", matched({9, 512}), matched({2, 512}))),
  };
  list[0].forward_dtypes = {DType::bf16, DType::f16, DType::i32, DType::i64};
  return test::per_sample(std::move(list));
}

GRAFT_OP_CASES(Linear, cases(), "linear.safetensors");

TEST(Linear, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3}), weight = Tensor::zeros({4, 3});
  EXPECT_THROW(functional::linear(x, Tensor::zeros({4, 2}), {}), Error);
  EXPECT_THROW(functional::linear(Tensor::zeros({3}), weight, {}), Error);
  EXPECT_THROW(functional::linear(x, weight, Tensor::zeros({3})), Error);
  EXPECT_THROW(functional::linear(x, weight.to(DType::f64), {}), Error);
}

}  // namespace
}  // namespace graft
