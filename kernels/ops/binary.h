// Element-wise functions of two tensors, with NumPy's broadcasting: one family, one contract.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Binary : unsigned char { add, sub, mul, div };

struct BinaryAttributes {
  static constexpr std::string_view id = "binary";
  Binary function = Binary::add;
};

// The broadcast of two shapes, aligned at their last axes; an extent of 1 stretches. bad_input when they do not fit.
Shape broadcast_shape(const Shape& a, const Shape& b);

struct BinaryForwardArgs {
  const Tensor& a;
  const Tensor& b;
  const BinaryAttributes& attributes;
  Tensor& y;  // of the broadcast shape; the format of whichever input has that shape
};
// Gradients are summed over the axes that were stretched.
struct BinaryBackwardArgs {
  const Tensor& a;
  const Tensor& b;
  const Tensor& dy;
  const BinaryAttributes& attributes;
  Tensor* da;  // like a, or null: not wanted
  Tensor* db;  // like b, or null
};

struct BinaryKernels {
  KernelList<BinaryForwardArgs> forward{"binary forward"};
  KernelList<BinaryBackwardArgs> backward{"binary backward"};
};

}  // namespace graft::ops
