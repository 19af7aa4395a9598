// Element-wise functions of two tensors, with NumPy's broadcasting: one family, one contract.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Binary : unsigned char {
  add,
  sub,
  mul,
  div,  // integers: towards zero; by zero gives 0
  pow,
  mod,   // the sign of b, as numpy.mod; integers by zero: 0
  fmod,  // the sign of a, as C's fmod; integers by zero: 0
  min,
  max,    // a NaN in either input wins; equal inputs share the gradient
  prelu,  // a < 0 ? a*b : a
  bit_and,
  bit_or,
  bit_xor,
  shift_left,
  shift_right,  // integers only; shifts by 64 and more, or below 0, leave 0 or -1
  logical_and,
  logical_or,
  logical_xor,  // the result is bool from here on
  equal,
  not_equal,
  less,
  less_or_equal,
  greater,
  greater_or_equal,
};

// Functions whose result is bool and which have no gradient.
constexpr bool is_predicate(Binary function) { return function >= Binary::logical_and; }

struct BinaryAttributes {
  static constexpr std::string_view id = "binary";
  Binary function = Binary::add;
};

// The broadcast of two shapes, aligned at their last axes; an extent of 1 stretches. bad_input when
// they do not fit.
GRAFT_API Shape broadcast_shape(const Shape& a, const Shape& b);

// Integer arithmetic wraps around.
struct BinaryForwardArgs {
  const Tensor& a;
  const Tensor& b;  // a's dtype
  const BinaryAttributes& attributes;
  Tensor& y;  // of the broadcast shape and a's dtype, bool for predicates; the format of whichever
              // input has that shape
  bool dtypes_fit() const {
    return are_of(a.dtype(), b) &&
           are_of(is_predicate(attributes.function) ? DType::boolean : a.dtype(), y);
  }
};
// Gradients are summed over the axes that were stretched.
struct BinaryBackwardArgs {
  const Tensor& a;
  const Tensor& b;
  const Tensor& dy;
  const BinaryAttributes& attributes;
  Tensor* da;  // like a, or null: not wanted
  Tensor* db;  // like b, or null
  bool dtypes_fit() const { return are_of(a.dtype(), b, dy, da, db); }
};

struct BinaryKernels {
  KernelList<BinaryForwardArgs> forward{"binary forward"};
  KernelList<BinaryBackwardArgs> backward{"binary backward"};
};

}  // namespace graft::ops
