// take: every result element is one input element, at a position that each axis decides by itself.
// Transpose, slice, expand, tile, reverse and the padding modes are all this one op.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

// One axis of the result.
struct AxisTake {
  int from = -1;  // the input's axis that it walks; -1: none, the axis is added and repeats the
                  // input `extent` times
  bool whole = false;  // the input's axis as it is: `positions` is not read, so that the batch may
                       // have any size
  std::vector<int64_t> positions{};  // where each element lies on the input's axis; -1: outside,
                                     // the result is `fill` there
  int64_t extent = 1;                // of an added axis
};

struct TakeAttributes {
  static constexpr std::string_view id = "take";
  std::vector<AxisTake> axes{};
  double fill = 0;
};

// Each axis of x of an extent other than 1 is walked exactly once. bad_input when an axis or a
// position is outside of x.
GRAFT_API Shape take_output_shape(const Shape& x, const TakeAttributes& attributes);

// Every dtype; any formats.
struct TakeForwardArgs {
  const Tensor& x;
  const TakeAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
// An element that was taken several times sums its gradients.
struct TakeBackwardArgs {
  const Tensor& dy;
  const TakeAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx); }
};

struct TakeKernels {
  KernelList<TakeForwardArgs> forward{"take forward"};
  KernelList<TakeBackwardArgs> backward{"take backward"};
};

}  // namespace graft::ops
