// Softmax and log-softmax along one axis, shifted by the maximum so that nothing overflows.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct SoftmaxAttributes {
  static constexpr std::string_view id = "softmax";
  int axis = 1;
  bool log = false;
};

struct SoftmaxForwardArgs {
  const Tensor& x;
  const SoftmaxAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
struct SoftmaxBackwardArgs {
  const Tensor& y;  // the forward result
  const Tensor& dy;
  const SoftmaxAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(y.dtype(), dy, dx); }
};

struct SoftmaxKernels {
  KernelList<SoftmaxForwardArgs> forward{"softmax forward"};
  KernelList<SoftmaxBackwardArgs> backward{"softmax backward"};
};

}  // namespace graft::ops
