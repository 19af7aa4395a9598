// Reductions over a set of axes: sum, mean, max, min.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Reduce : unsigned char { sum, mean, max, min };

struct ReduceAttributes {
  static constexpr std::string_view id = "reduce";
  Reduce function = Reduce::sum;
  std::vector<int> axes;  // empty: all
  bool keep_axes = false;
};

// x's shape with the reduced axes as 1 (kept) or left out. bad_input for axes outside of x or named twice.
Shape reduce_output_shape(const Shape& x, const ReduceAttributes& attributes, bool keep_axes);

struct ReduceForwardArgs {
  const Tensor& x;
  const ReduceAttributes& attributes;
  Tensor& y;
};
// max and min share the gradient equally among equal extremes (PyTorch's amax, amin).
struct ReduceBackwardArgs {
  const Tensor& x;
  const Tensor& y;
  const Tensor& dy;
  const ReduceAttributes& attributes;
  Tensor& dx;
};

struct ReduceKernels {
  KernelList<ReduceForwardArgs> forward{"reduce forward"};
  KernelList<ReduceBackwardArgs> backward{"reduce backward"};
};

}  // namespace graft::ops
