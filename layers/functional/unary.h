// Functions of one number, element by element.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/unary.h"

namespace graft::functional {

GRAFT_API Tensor unary(const Tensor& x, ops::Unary function);
inline Tensor relu(const Tensor& x) { return unary(x, ops::Unary::relu); }
inline Tensor relu6(const Tensor& x) { return unary(x, ops::Unary::relu6); }
inline Tensor sigmoid(const Tensor& x) { return unary(x, ops::Unary::sigmoid); }
inline Tensor tanh(const Tensor& x) { return unary(x, ops::Unary::tanh); }

}  // namespace graft::functional
