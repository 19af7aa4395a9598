// Linear: y = x * transpose(weight) + bias over the last axis.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct LinearAttributes {
  static constexpr std::string_view id = "linear";
};

// All tensors of a pass share one dtype.
struct LinearForwardArgs {
  const Tensor& x;       // [M,I]
  const Tensor& weight;  // [O,I]
  const Tensor* bias;    // [O] or null
  Tensor& y;             // [M,O]
  bool dtypes_fit() const { return are_of(x.dtype(), weight, bias, y); }
};
struct LinearBackwardDataArgs {
  const Tensor& dy;      // [M,O]
  const Tensor& weight;  // [O,I]
  Tensor& dx;            // [M,I]
  bool dtypes_fit() const { return are_of(dy.dtype(), weight, dx); }
};
struct LinearBackwardWeightArgs {
  const Tensor& x;   // [M,I]
  const Tensor& dy;  // [M,O]
  Tensor* dweight;   // [O,I] or null
  Tensor* dbias;     // [O] or null
  bool dtypes_fit() const { return are_of(dy.dtype(), x, dweight, dbias); }
};

struct LinearKernels {
  KernelList<LinearForwardArgs> forward{"linear forward"};
  KernelList<LinearBackwardDataArgs> backward_data{"linear backward-data"};
  KernelList<LinearBackwardWeightArgs> backward_weight{"linear backward-weight"};
};

}  // namespace graft::ops
