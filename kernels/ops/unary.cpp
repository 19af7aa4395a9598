#include "graft/kernels/ops/unary.h"

#include <array>

namespace graft::ops {

std::string_view name_of(Unary function) {
  static constexpr std::array<std::string_view, 45> names{
      "relu",   "relu6",       "sigmoid",      "tanh",       "neg",
      "exp",    "log",         "sqrt",         "abs",        "reciprocal",
      "floor",  "ceil",        "round",        "sign",       "erf",
      "sin",    "cos",         "tan",          "asin",       "acos",
      "atan",   "sinh",        "cosh",         "asinh",      "acosh",
      "atanh",  "softplus",    "softsign",     "leaky_relu", "elu",
      "selu",   "celu",        "hard_sigmoid", "hard_swish", "thresholded_relu",
      "shrink", "clip",        "gelu",         "gelu_tanh",  "silu",
      "mish",   "bitwise_not", "logical_not",  "is_nan",     "is_inf"};
  static_assert(names.size() == static_cast<size_t>(Unary::is_inf) + 1);
  return names[static_cast<size_t>(function)];
}

}  // namespace graft::ops
