// + - * / of tensors, and of a tensor with a number: functional's, so that gradients flow and
// traces see them. In namespace graft, where argument-dependent lookup finds them.
#pragma once
#include "graft/layers/functional/elementwise.h"

namespace graft {

// Broadcasting as in NumPy; two tensors have one dtype. Division of integers is towards zero.
inline Tensor operator+(const Tensor& a, const Tensor& b) { return functional::add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return functional::sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return functional::mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return functional::div(a, b); }
inline Tensor operator-(const Tensor& x) { return functional::neg(x); }

// The number as a tensor of rank 0, of x's dtype and where x lies. bad_input for one that an
// integer dtype cannot hold: 0.5 beside int64.
GRAFT_API Tensor number_beside(const Tensor& x, double number);

inline Tensor operator+(const Tensor& a, double b) { return a + number_beside(a, b); }
inline Tensor operator-(const Tensor& a, double b) { return a - number_beside(a, b); }
inline Tensor operator*(const Tensor& a, double b) { return a * number_beside(a, b); }
inline Tensor operator/(const Tensor& a, double b) { return a / number_beside(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return number_beside(b, a) + b; }
inline Tensor operator-(double a, const Tensor& b) { return number_beside(b, a) - b; }
inline Tensor operator*(double a, const Tensor& b) { return number_beside(b, a) * b; }
inline Tensor operator/(double a, const Tensor& b) { return number_beside(b, a) / b; }

}  // namespace graft
