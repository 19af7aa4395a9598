// resample: every element of the result is a weighted sum of input elements on the same line of one
// axis. Resizing an image in any mode is one such op an axis.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct ResampleAttributes {
  static constexpr std::string_view id = "resample";
  int axis = 0;
  // Element i sums weights[j] * x[positions[j]] for first[i] <= j < first[i + 1]; without any it is
  // `fill`.
  std::vector<int64_t> first{0}, positions{};
  std::vector<double> weights{};
  double fill = 0;
};

// bad_input when the lists do not fit each other or a position is outside of x.
GRAFT_API Shape resample_output_shape(const Shape& x, const ResampleAttributes& attributes);

// Floating dtypes. x and y (dx and dy) share the format.
struct ResampleForwardArgs {
  const Tensor& x;
  const ResampleAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
struct ResampleBackwardArgs {
  const Tensor& dy;
  const ResampleAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx); }
};

struct ResampleKernels {
  KernelList<ResampleForwardArgs> forward{"resample forward"};
  KernelList<ResampleBackwardArgs> backward{"resample backward"};
};

}  // namespace graft::ops
