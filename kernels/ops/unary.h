// Element-wise functions of one tensor: one family, one contract. Formulas are those of the ONNX
// operators of the same name; alpha and beta are their parameters, named at each function.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Unary : unsigned char {
  relu,
  relu6,
  sigmoid,
  tanh,
  neg,
  exp,
  log,
  sqrt,
  abs,
  reciprocal,
  floor,
  ceil,
  round,  // half to even
  sign,
  erf,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  softplus,          // log(1 + exp(x))
  softsign,          // x / (1 + |x|)
  leaky_relu,        // x < 0 ? alpha*x : x
  elu,               // x < 0 ? alpha*(exp(x) - 1) : x
  selu,              // beta * (x <= 0 ? alpha*(exp(x) - 1) : x)
  celu,              // max(0, x) + min(0, alpha*(exp(x/alpha) - 1))
  hard_sigmoid,      // max(0, min(1, alpha*x + beta))
  hard_swish,        // x * max(0, min(1, x/6 + 1/2))
  thresholded_relu,  // x > alpha ? x : 0
  shrink,            // x < -alpha ? x + beta : x > alpha ? x - beta : 0
  clip,              // min(max(x, alpha), beta)
  gelu,              // x/2 * (1 + erf(x / sqrt(2)))
  gelu_tanh,         // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3)))
  silu,              // x * sigmoid(alpha*x)
  mish,              // x * tanh(softplus(x))
  bitwise_not,       // integers only
  logical_not,
  is_nan,
  is_inf,  // alpha != 0: counts -infinity; beta != 0: counts +infinity
};

// Functions whose result is bool and which have no gradient.
constexpr bool is_predicate(Unary function) { return function >= Unary::logical_not; }

GRAFT_API std::string_view name_of(Unary function);

struct UnaryAttributes {
  static constexpr std::string_view id = "unary";
  Unary function = Unary::relu;
  double alpha = 1, beta = 1;
};

// Floating dtypes; relu, neg, abs, sign, clip and bitwise_not also integers; predicates every
// dtype.
struct UnaryForwardArgs {
  const Tensor& x;
  const UnaryAttributes& attributes;
  Tensor& y;  // like x; bool for predicates
  bool dtypes_fit() const {
    return are_of(is_predicate(attributes.function) ? DType::boolean : x.dtype(), y);
  }
};
struct UnaryBackwardArgs {
  const Tensor& x;  // the forward input
  const Tensor& y;  // the forward result
  const Tensor& dy;
  const UnaryAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(x.dtype(), y, dy, dx); }
};

struct UnaryKernels {
  KernelList<UnaryForwardArgs> forward{"unary forward"};
  KernelList<UnaryBackwardArgs> backward{"unary backward"};
};

}  // namespace graft::ops
