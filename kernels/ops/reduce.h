// Reductions over a set of axes: sums, extremes, products and norms.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Reduce : unsigned char {
  sum,
  mean,
  max,
  min,
  prod,
  l1,           // sum |x|
  l2,           // sqrt(sum x^2)
  log_sum,      // log(sum x)
  log_sum_exp,  // log(sum exp(x)), shifted by the maximum so that nothing overflows
  sum_square,   // sum x^2
};

struct ReduceAttributes {
  static constexpr std::string_view id = "reduce";
  Reduce function = Reduce::sum;
  std::vector<int> axes{};  // empty: all
  bool keep_axes = false;
};

// x's shape with the reduced axes as 1 (kept) or left out. bad_input for axes outside of x or named
// twice.
GRAFT_API Shape reduce_output_shape(const Shape& x, const ReduceAttributes& attributes,
                                    bool keep_axes);

// Integers: the same, rounded towards zero. Sums are kept in double or int64.
struct ReduceForwardArgs {
  const Tensor& x;
  const ReduceAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
// max and min share the gradient equally among equal extremes (PyTorch's amax, amin).
struct ReduceBackwardArgs {
  const Tensor& x;
  const Tensor& y;
  const Tensor& dy;
  const ReduceAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(x.dtype(), y, dy, dx); }
};

struct ReduceKernels {
  KernelList<ReduceForwardArgs> forward{"reduce forward"};
  KernelList<ReduceBackwardArgs> backward{"reduce backward"};
};

}  // namespace graft::ops
