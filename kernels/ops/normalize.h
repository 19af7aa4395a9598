// normalize: y = (x - mean) / sqrt(variance + eps) over all axes from `axis` on, one mean and
// (biased) variance for each of the rows before; what layer, group and instance norm share. Source:
// Ba et al. 2016, eq. 4; without the mean y = x / sqrt(mean(x^2) + eps): Zhang & Sennrich 2019,
// eq. 4.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct NormalizeAttributes {
  static constexpr std::string_view id = "normalize";
  int axis = 1;
  double eps = 1e-5;
  bool center = true;  // subtract the mean
};

// All contiguous, floating.
struct NormalizeForwardArgs {
  const Tensor& x;
  const NormalizeAttributes& attributes;
  Tensor& y;       // like x
  Tensor* scales;  // f64 [rows]: 1 / sqrt(variance + eps), for backward; or null: not wanted
  bool dtypes_fit() const { return are_of(x.dtype(), y) && are_of(DType::f64, scales); }
};
struct NormalizeBackwardArgs {
  const Tensor& y;
  const Tensor& scales;
  const Tensor& dy;
  const NormalizeAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(y.dtype(), dy, dx) && are_of(DType::f64, scales); }
};

struct NormalizeKernels {
  KernelList<NormalizeForwardArgs> forward{"normalize forward"};
  KernelList<NormalizeBackwardArgs> backward{"normalize backward"};
};

}  // namespace graft::ops
