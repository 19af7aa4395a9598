// Ops that move elements without computing: reshape, concat, pad.
#pragma once
#include <span>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct ReshapeAttributes {
  static constexpr std::string_view id = "reshape";
  Shape shape{};
};

struct ConcatAttributes {
  static constexpr std::string_view id = "concat";
  int axis = 1;
};

// Constant padding: begin[i] elements before and end[i] after axis i. Negative amounts crop.
struct PadAttributes {
  static constexpr std::string_view id = "pad";
  std::vector<int64_t> begin{}, end{};  // one entry an axis
  double value = 0;
};

GRAFT_API Shape concat_output_shape(std::span<const Tensor> inputs, int axis);
GRAFT_API Shape pad_output_shape(const Shape& x, const PadAttributes& attributes);

// All tensors share dtype and format.
struct ConcatForwardArgs {
  std::span<const Tensor> inputs;
  int axis;
  Tensor& y;
  bool dtypes_fit() const { return are_of(y.dtype(), inputs); }
};
struct ConcatBackwardArgs {
  const Tensor& dy;
  int axis;
  std::span<Tensor> dinputs;         // undefined entries are not wanted
  std::span<const int64_t> extents;  // of every input along the axis
  bool dtypes_fit() const { return are_of(dy.dtype(), std::span<const Tensor>(dinputs)); }
};
struct PadForwardArgs {
  const Tensor& x;
  const PadAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
struct PadBackwardArgs {
  const Tensor& dy;
  const PadAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx); }
};

struct ShapeChangeKernels {
  KernelList<ConcatForwardArgs> concat_forward{"concat forward"};
  KernelList<ConcatBackwardArgs> concat_backward{"concat backward"};
  KernelList<PadForwardArgs> pad_forward{"pad forward"};
  KernelList<PadBackwardArgs> pad_backward{"pad backward"};
};

}  // namespace graft::ops
