// where: elements of a or of b by a condition, all three broadcast as in NumPy. cast: elements in
// another dtype.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct WhereAttributes {
  static constexpr std::string_view id = "where";
};
struct WhereForwardArgs {
  const Tensor& condition;  // bool
  const Tensor& a;
  const Tensor& b;  // a's dtype
  Tensor& y;        // of the broadcast shape and a's dtype
  bool dtypes_fit() const { return are_of(DType::boolean, condition) && are_of(a.dtype(), b, y); }
};
// Gradients are summed over the axes that were stretched.
struct WhereBackwardArgs {
  const Tensor& condition;
  const Tensor& dy;
  Tensor* da;  // or null: not wanted
  Tensor* db;
  bool dtypes_fit() const {
    return are_of(DType::boolean, condition) && are_of(dy.dtype(), da, db);
  }
};

struct CastAttributes {
  static constexpr std::string_view id = "cast";
  DType dtype = DType::f32;
};
// Integers among themselves wrap around; floating to integer truncates, saturates and takes NaN to
// 0; to bool: != 0.
struct CastArgs {
  const Tensor& x;
  Tensor& y;  // x's shape and format
  bool dtypes_fit() const { return true; }
};

// Logical order stays, memory order changes: Tensor::to needs no kernel.
struct FormatAttributes {
  static constexpr std::string_view id = "format";
  MemoryFormat format = MemoryFormat::contiguous;
};

struct SelectKernels {
  KernelList<WhereForwardArgs> where_forward{"where forward"};
  KernelList<WhereBackwardArgs> where_backward{"where backward"};
  KernelList<CastArgs> cast{"cast"};
};

}  // namespace graft::ops
