// Ops that compare or accumulate along one axis: the place of an extreme, the k largest, running
// sums.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

// NaN counts as the extreme that is looked for, as in NumPy.
struct ArgExtremeAttributes {
  static constexpr std::string_view id = "arg_extreme";
  int axis = 0;
  bool largest = true;
  bool last = false;  // of several equal extremes the last one, else the first
};
struct ArgExtremeArgs {
  const Tensor& x;
  const ArgExtremeAttributes& attributes;
  Tensor& y;  // i64, x's shape with 1 on the axis, x's format
  bool dtypes_fit() const { return are_of(DType::i64, y); }
};

// The k largest (or smallest), the extreme first; of equal ones that with the lower index. NaN
// counts as largest.
struct TopKAttributes {
  static constexpr std::string_view id = "topk";
  int axis = 0;
  int64_t k = 1;
  bool largest = true;
};
struct TopKArgs {
  const Tensor& x;
  const TopKAttributes& attributes;
  Tensor& values;   // x's shape with k on the axis, x's format
  Tensor& indices;  // i64 like values
  bool dtypes_fit() const { return are_of(x.dtype(), values) && are_of(DType::i64, indices); }
};

struct CumulativeSumAttributes {
  static constexpr std::string_view id = "cumulative_sum";
  int axis = 0;
  bool exclusive = false;  // without the element itself
  bool reverse = false;    // from the end
};
// Its gradient is the same op with reverse flipped.
struct CumulativeSumArgs {
  const Tensor& x;
  const CumulativeSumAttributes& attributes;
  Tensor& y;  // like x
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};

struct OrderingKernels {
  KernelList<ArgExtremeArgs> arg_extreme{"arg_extreme"};
  KernelList<TopKArgs> topk{"topk"};
  KernelList<CumulativeSumArgs> cumulative_sum{"cumulative_sum"};
};

}  // namespace graft::ops
