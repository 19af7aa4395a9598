// exp, tanh, erf and what is made of them, of a register of floats. Errors against exact values, in
// units of the last place of the result, over all floats (tests/kernels/map_test.cpp): exp 2, expm1
// 3, sigmoid 3, tanh 3, erf 2. NaN gives NaN; overflow gives infinity, underflow denormals and
// zero. Included by the instruction sets' units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/vector.h"

namespace graft::cpu {
namespace {

inline FloatVector fused(FloatVector a, FloatVector b, FloatVector c) {
  return Vector<float>::multiply_add(a, b, c);
}
inline FloatVector fused(FloatVector a, FloatVector b, float c) {
  return fused(a, b, Vector<float>::broadcast(c));
}
// Horner's rule; the highest coefficient first.
template <class... C>
inline FloatVector polynomial(FloatVector x, float first, C... rest) {
  FloatVector sum = Vector<float>::broadcast(first);
  ((sum = fused(sum, x, rest)), ...);
  return sum;
}

inline WordVector sign_bits(FloatVector v) { return (WordVector)v & 0x80000000U; }
inline FloatVector magnitude(FloatVector v) { return (FloatVector)((WordVector)v & 0x7fffffffU); }
// v with the sign of `sign`; v is not negative.
inline FloatVector with_sign(FloatVector v, FloatVector sign) {
  return (FloatVector)((WordVector)v | sign_bits(sign));
}
// NaN stays.
inline FloatVector bounded(FloatVector v, FloatVector low, FloatVector high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

// exp(x) = 2^power * exp(rest), |rest| <= ln(2) / 2. ln 2 in two parts, the first with few bits, so
// that its product with the power is exact.
struct ReducedExponent {
  FloatVector rest, series;  // exp(rest) - 1 = rest + series
  WordVector power;
};
inline ReducedExponent reduced_exponent(FloatVector x) {
  const FloatVector zero{}, round = zero + 0x1.8p23F;
  x = bounded(x, zero - 105.0F, zero + 90.0F);
  const FloatVector shifted = fused(x, zero + 1.44269504F, round), power = shifted - round;
  FloatVector rest = fused(power, zero - 0.693359375F, x);
  rest = fused(power, zero + 2.12194440e-4F, rest);
  const FloatVector series = rest * rest *
                             polynomial(rest, 1.9875691500e-4F, 1.3981999507e-3F, 8.3334519073e-3F,
                                        4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F);
  return {rest, series, (WordVector)shifted - (WordVector)round};
}
inline FloatVector power_of_two(WordVector power) { return (FloatVector)((power + 127U) << 23); }
inline FloatVector vector_exp(FloatVector x) {
  const ReducedExponent e = reduced_exponent(x);
  // In two factors: each is a normal number where the product is not.
  const WordVector half = (WordVector)((IntVector)e.power >> 1);
  return (e.rest + e.series + 1.0F) * power_of_two(half) * power_of_two(e.power - half);
}
// For x <= 88.
inline FloatVector vector_expm1(FloatVector x) {
  const ReducedExponent e = reduced_exponent(x);
  const FloatVector near = e.rest + e.series;
  return (IntVector)e.power == 0 ? near : vector_exp(x) - 1.0F;
}

// The exponent is never positive, so that nothing overflows.
inline FloatVector vector_sigmoid(FloatVector x) {
  const FloatVector zero{}, one = zero + 1.0F, e = vector_exp(-magnitude(x));
  return (x < zero ? e : one) / (one + e);
}

inline FloatVector vector_tanh(FloatVector x) {
  const FloatVector zero{}, one = zero + 1.0F, two = zero + 2.0F, a = magnitude(x), z = x * x;
  const FloatVector near =
      fused(polynomial(z, -5.70498872745e-3F, 2.06390887954e-2F, -5.37397155531e-2F,
                       1.33314422036e-1F, -3.33332819422e-1F) *
                z,
            a, a);
  const FloatVector far = one - two / (vector_exp(a + a) + one);
  return with_sign(a < zero + 0.625F ? near : far, x);
}

// Below 475 / 512 an odd polynomial, above 1 - exp of one.
inline FloatVector vector_erf(FloatVector x) {
  const FloatVector zero{}, one = zero + 1.0F, a = magnitude(x), s = x * x;
  const FloatVector near = fused(polynomial(s, -5.96761703e-4F, 4.99119423e-3F, -2.67681349e-2F,
                                            1.12819925e-1F, -3.76125336e-1F, 1.28379166e-1F),
                                 x, x);
  const FloatVector t = a > zero + 5.0F ? zero + 5.0F : a;  // NaN stays
  FloatVector far = polynomial(t, -1.72853470e-5F, 3.83197126e-4F, -3.88396438e-3F, 2.42546219e-2F,
                               -1.06777877e-1F, -6.34846687e-1F, -1.28717512e-1F);
  far = fused(far, t, -t);
  far = with_sign(one - vector_exp(far), x);
  return a > zero + 0.927734375F ? far : near;
}

inline FloatVector normal_cdf(FloatVector x) {
  const FloatVector zero{};
  return 0.5F * (1.0F + vector_erf(x / (zero + 1.414213562F)));
}
// The argument of gelu_tanh's tanh: sqrt(2 / pi) * (x + 0.044715 x^3).
inline FloatVector gelu_argument(FloatVector x) {
  return 0.7978845608F * (x + 0.044715F * x * x * x);
}

}  // namespace
}  // namespace graft::cpu
