// Matrix products: stacks of matrices, either factor transposed, products summed into a result. One
// pass serves the forward direction and both gradients.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

// NumPy's matmul for ranks of 2 and more: leading axes broadcast.
struct MatmulAttributes {
  static constexpr std::string_view id = "matmul";
};

// bad_input when the matrices or their leading axes do not fit. Both of rank 2 at least.
GRAFT_API Shape matmul_output_shape(const Shape& a, const Shape& b);

// One product: matrix `a` of a times matrix `b` of b, added to matrix `y` of y.
struct MatrixProduct {
  int64_t a, b, y;
};

// All contiguous, of rank 3 and one dtype. y is overwritten: each of its matrices is the sum of its
// products.
struct MatmulArgs {
  const Tensor& a;  // [A,M,K]; transpose_a: [A,K,M]
  const Tensor& b;  // [B,K,N]; transpose_b: [B,N,K]
  bool transpose_a, transpose_b;
  std::span<const MatrixProduct> products;  // by y
  Tensor& y;                                // [Y,M,N]
  bool dtypes_fit() const { return are_of(a.dtype(), b, y); }
};

struct MatmulKernels {
  KernelList<MatmulArgs> run{"matmul"};
};

}  // namespace graft::ops
