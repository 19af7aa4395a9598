// matmul, gemm and einsum.
#include "graft/layers/functional/matrices.h"

#include <gtest/gtest.h>

#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;
using test::OpInput;

OpCase product(std::string name, const Shape& a, const Shape& b) {
  return {.name = std::move(name),
          .inputs = {activation(a), activation(b)},
          .call =
              [](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::matmul(in[0], in[1])};
              },
          .forward_dtypes = {DType::bf16, DType::f16, DType::i64, DType::i32},
          .keeps_layout = true};
}
OpCase summation(std::string name, std::string equation, const std::vector<Shape>& shapes) {
  OpCase op{.name = "einsum_" + std::move(name),
            .inputs = {},
            .call =
                [equation](std::span<const Tensor> in) {
                  return std::vector<Tensor>{functional::einsum(equation, in)};
                },
            .forward_dtypes = {},
            .keeps_layout = false};
  for (const Shape& shape : shapes) op.inputs.push_back(activation(shape));
  return op;
}
OpCase general(std::string name, const std::vector<Shape>& shapes,
               const functional::GemmOptions& options) {
  return {.name = std::move(name),
          .inputs = {activation(shapes[0]), activation(shapes[1]), activation(shapes[2])},
          .call =
              [options](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::gemm(in[0], in[1], in[2], options)};
              },
          .forward_dtypes = {}};
}

std::vector<OpCase> cases() {
  return {
      product("matmul", {3, 5}, {5, 4}),
      product("matmul_vectors", {5}, {5}),
      product("matmul_row", {5}, {2, 5, 3}),
      product("matmul_column", {2, 3, 5}, {5}),
      product("matmul_batch", {2, 3, 4, 5}, {2, 3, 5, 2}),
      product("matmul_broadcast", {2, 1, 4, 5}, {3, 5, 2}),
      product("matmul_tall", {2, 3, 5}, {5, 4}),
      product("matmul_wide", {3, 5}, {2, 5, 4}),
      product("matmul_one", {1, 1}, {1, 7}),
      test::kernels_only(product("large_matmul", {3, 70, 90}, {3, 90, 65})),
      test::kernels_only(product("many_products", {5, 4, 7, 33}, {4, 33, 18})),
      test::kernels_only(product("many_shared_products", {1, 20, 7, 9}, {3, 1, 9, 5})),
      general("gemm", {{3, 5}, {5, 4}, {4}}, {.alpha = 0.5, .beta = 2}),
      general("gemm_transposed", {{5, 3}, {4, 5}, {3, 1}},
              {.transpose_a = true, .transpose_b = true}),
      summation("product", "ij,jk->ik", {{3, 4}, {4, 2}}),
      summation("implicit", "ij,jk", {{3, 4}, {4, 2}}),
      summation("transpose", "ijk -> kij", {{2, 3, 4}}),
      summation("trace", "ii", {{4, 4}}),
      summation("diagonal", "bii->bi", {{2, 3, 3}}),
      summation("sum", "ij->j", {{3, 4}}),
      summation("outer", "i,j->ij", {{3}, {4}}),
      summation("batch", "bij,bjk->bik", {{2, 3, 4}, {2, 4, 2}}),
      summation("ellipsis", "...ij,...jk->...ik", {{2, 1, 3, 4}, {3, 4, 2}}),
      summation("inner", "i,i", {{5}, {5}}),
      summation("bilinear", "bn,anm,bm->ba", {{2, 3}, {4, 3, 5}, {2, 5}}),
      summation("hadamard_sum", "ij,ij->i", {{3, 4}, {3, 4}}),
      summation("private_letters", "ijp,jqk->ki", {{2, 3, 2}, {3, 2, 4}}),
  };
}
GRAFT_OP_CASES(Matrices, cases(), "matrices.safetensors", "unary", "binary");

TEST(Matrices, EmptyInnerAxisGivesZeros) {
  EXPECT_EQ(functional::matmul(Tensor::zeros({2, 0}), Tensor::zeros({0, 3})).to_doubles(),
            std::vector<double>(6, 0.0));
  EXPECT_EQ(functional::matmul(Tensor::zeros({0, 2, 3}), Tensor::zeros({3, 4})).shape(),
            (Shape{0, 2, 4}));
}

TEST(Matrices, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3}), cube = Tensor::zeros({2, 3, 4});
  EXPECT_THROW(functional::matmul(x, x), Error);
  EXPECT_THROW(functional::matmul(x, Tensor::zeros({3, 2}, {.dtype = DType::f64})), Error);
  EXPECT_THROW(functional::matmul(x, Tensor::zeros(Shape{})), Error);
  EXPECT_THROW(functional::matmul(cube, Tensor::zeros({3, 4, 2})), Error);
  EXPECT_THROW(functional::gemm(x, Tensor::zeros({3, 2}), Tensor::zeros({3, 3})), Error);
  const auto refused = [&](const char* equation, std::vector<Tensor> operands) {
    EXPECT_THROW(functional::einsum(equation, operands), Error) << equation;
  };
  refused("ij,jk", {x});
  refused("ij,jk->ik", {x, x});
  refused("ijk", {x});
  refused("ij->iij", {x});
  refused("ij->k", {x});
  refused("ii", {x});
  refused("i1", {x});
  refused("", {x});
}

}  // namespace
}  // namespace graft
