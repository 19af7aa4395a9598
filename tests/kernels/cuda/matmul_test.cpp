// Linear layers and stacks of matrix products: cuBLASLt's through its fake, and graft's own.
#include <gtest/gtest.h>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/cublas/api.h"
#include "graft/kernels/cuda/cublas/product_cache.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/matrices.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft {
namespace {

using cublas::Product;
using cuda::emulator::FakeBlasState;
using test::EmulatedDevice;
using test::kCuda;
using test::linear_case;
using test::matched;
using test::OpCase;

OpCase matmul_case(std::string name, const Shape& a, const Shape& b) {
  return {std::move(name), {matched(a), matched(b)}, [](std::span<const Tensor> in) {
            return std::vector<Tensor>{functional::matmul(in[0], in[1])};
          }};
}
std::vector<OpCase> matmul_cases() {
  return {
      matmul_case("matrices", {3, 5}, {5, 4}),
      matmul_case("stack", {2, 8, 16}, {2, 16, 8}),
      matmul_case("stack_of_odd_size", {3, 3, 5}, {3, 5, 7}),
      matmul_case("one_for_all", {2, 3, 4, 5}, {5, 6}),
      matmul_case("broadcast", {2, 1, 4, 8}, {3, 8, 2}),
      matmul_case("several_tiles", {70, 20}, {20, 66}),
  };
}

// Without a library everything runs on graft's own kernel.
TEST(CudaMatmul, AgreesWithTheReference) {
  for (const OpCase& op : matmul_cases())
    EXPECT_EQ(test::expect_emulated_agrees(op), (std::set<std::string>{"matmul"})) << op.name;
}

TEST(CublasMatmul, AgreesWithTheReference) {
  for (const OpCase& op : matmul_cases()) {
    FakeBlasState blas;
    const std::set<std::string> ran = test::expect_emulated_agrees(op, {nullptr, &blas});
    const bool even =
        op.name !=
        "broadcast";  // its products lie at no even distances, and its gradients sum several
    EXPECT_EQ(blas.executed, even ? 3 * 3 : 0) << op.name;
    EXPECT_EQ(ran.contains("matmul"), !even) << op.name;
  }
}

TEST(CublasLinear, AgreesWithTheReference) {
  for (const OpCase& op :
       {linear_case("head", 4, 33, 10, true), linear_case("no_bias", 3, 5, 7, false),
        linear_case("one_row", 1, 64, 3, true)}) {
    FakeBlasState blas;
    test::expect_emulated_agrees(op, {nullptr, &blas});
    EXPECT_EQ(blas.executed, 3 * 3) << op.name;  // three passes in three dtypes
    EXPECT_EQ(blas.chosen, 3 * 3) << op.name;
  }
}

TEST(CublasLinear, WhatItHasNoWayForRunsOnGraftsKernel) {
  FakeBlasState blas;
  blas.refuses = [](const Product& product) { return product.transpose_a; };
  const std::set<std::string> ran =
      test::expect_emulated_agrees(linear_case("head", 4, 33, 10, true), {nullptr, &blas});
  EXPECT_EQ(blas.executed, 2 * 3);
  EXPECT_TRUE(ran.contains("tensor-core backward-weight") && ran.contains("linear"));
}

TEST(CublasLinear, IsAskedOnceAProduct) {
  FakeBlasState blas;
  EmulatedDevice emulated({nullptr, &blas});
  cublas::ProductCache products(emulated.device(), {});
  Product product{DType::bf16, 4, 8, 16};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(products.find(product));
  EXPECT_EQ(blas.chosen, 1);
  product.transpose_b = true;
  ASSERT_TRUE(products.find(product));
  EXPECT_EQ(blas.chosen, 2);
  EmulatedDevice none;
  const cublas::ProductCache absent(none.device(), {});
  EXPECT_EQ(absent.why(), "the emulated GPU has no cuBLASLt");
}

// Where cuBLASLt is installed it has every function under its name.
TEST(CublasLibrary, HasTheFunctions) {
  std::string why;
  const cublas::api::Library* const library = cublas::api::library(why);
  if (!library) GTEST_SKIP() << why;
  EXPECT_GE(library->version(), 120000u);
  EXPECT_STRNE(library->error_text(cublas::api::Result::success), "");
}

}  // namespace
}  // namespace graft
