// Element-wise functions of one tensor: one family, one contract.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Unary : unsigned char { relu, relu6, sigmoid, tanh, neg, exp, log, sqrt, abs };

struct UnaryAttributes {
  static constexpr std::string_view id = "unary";
  Unary function = Unary::relu;
};

struct UnaryForwardArgs {
  const Tensor& x;
  const UnaryAttributes& attributes;
  Tensor& y;  // like x
};
struct UnaryBackwardArgs {
  const Tensor& x;  // the forward input
  const Tensor& y;  // the forward result
  const Tensor& dy;
  const UnaryAttributes& attributes;
  Tensor& dx;
};

struct UnaryKernels {
  KernelList<UnaryForwardArgs> forward{"unary forward"};
  KernelList<UnaryBackwardArgs> backward{"unary backward"};
};

}  // namespace graft::ops
