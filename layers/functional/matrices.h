// Matrix products as NumPy and ONNX define them.
#pragma once
#include <string_view>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/matmul.h"

namespace graft::functional {

// [...,M,K] times [...,K,N] -> [...,M,N]; leading axes broadcast. A vector (rank 1) on the left is
// a row, on the right a column, and its axis is gone from the result. Every dtype (integers wrap
// around); both of one dtype.
GRAFT_API Tensor matmul(const Tensor& a, const Tensor& b);

struct GemmOptions {
  double alpha = 1, beta = 1;
  bool transpose_a = false, transpose_b = false;
};
// alpha * op(a) * op(b) + beta * c, for matrices; c (or undefined) broadcasts to [M,N].
GRAFT_API Tensor gemm(const Tensor& a, const Tensor& b, const Tensor& c = {},
                      const GemmOptions& options = {});

// Einstein's summation: "ij,jk->ik", "bij->bji", "ii" (trace), "...ij,...jk". Letters name axes;
// "..." stands for leading axes that broadcast. Without "->" the result has the letters that occur
// once, in alphabetical order (after "...").
GRAFT_API Tensor einsum(std::string_view equation, std::span<const Tensor> operands);
inline Tensor einsum(std::string_view equation, std::initializer_list<Tensor> operands) {
  return einsum(equation, std::span(operands.begin(), operands.size()));
}

}  // namespace graft::functional
