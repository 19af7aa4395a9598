// Functions of two numbers, element by element.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/binary.h"

namespace graft::functional {

// Broadcasting as in NumPy. Inputs of rank 4 share their layout (or have one element a channel,
// where both agree).
GRAFT_API Tensor binary(const Tensor& a, const Tensor& b, ops::Binary function);
inline Tensor add(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::add); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::sub); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::mul); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::div); }

}  // namespace graft::functional
