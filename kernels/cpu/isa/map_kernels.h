// Element-wise functions and their derivatives, vectorised. What is left over behind whole
// registers goes through a register too, so that an element's bits do not depend on where it
// stands. Included by the instruction sets' units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/vector_maths.h"

namespace graft::cpu {
namespace {

// Calls take(i, values) for whole registers of the elements from i on, and for the rest.
template <class T, class F>
inline void for_registers(int64_t count, F&& f) {
  constexpr int lanes = Vector<T>::lanes;
  const int64_t whole = count - count % lanes;
  for (int64_t i = 0; i < whole; i += lanes)
    f(
        [i](const T* p) __attribute__((always_inline)) { return Vector<T>::load(p + i); },
        [i](T * p, FloatVector v) __attribute__((always_inline)) { Vector<T>::store(p + i, v); });
  if (whole == count) return;
  f(
      [=](const T* p) {
        T values[lanes] = {};
        for (int64_t i = whole; i < count; ++i) values[i - whole] = p[i];
        return Vector<T>::load(values);
      },
      [=](T* p, FloatVector v) {
        T values[lanes];
        Vector<T>::store(values, v);
        for (int64_t i = whole; i < count; ++i) p[i] = values[i - whole];
      });
}

template <class T>
void map(const MapAttributes& attributes, const T* x, int64_t count, T* y) {
  const auto each = [&](auto&& function) __attribute__((always_inline)) {
    for_registers<T>(
        count, [&](auto&& load, auto&& store)
                   __attribute__((always_inline)) { store(y, function(load(x))); });
  };
  const FloatVector zero{}, one = zero + 1.0F, alpha = zero + attributes.alpha,
                            beta = zero + attributes.beta;
  switch (attributes.function) {
    case MapFunction::sigmoid: return each([](FloatVector v) { return vector_sigmoid(v); });
    case MapFunction::tanh: return each([](FloatVector v) { return vector_tanh(v); });
    case MapFunction::neg: return each([](FloatVector v) { return -v; });
    case MapFunction::exp: return each([](FloatVector v) { return vector_exp(v); });
    case MapFunction::abs: return each([](FloatVector v) { return magnitude(v); });
    case MapFunction::reciprocal: return each([=](FloatVector v) { return one / v; });
    case MapFunction::erf: return each([](FloatVector v) { return vector_erf(v); });
    case MapFunction::leaky_relu:
      return each([=](FloatVector v) { return v < zero ? alpha * v : v; });
    case MapFunction::elu:
      return each([=](FloatVector v) { return v < zero ? alpha * vector_expm1(v) : v; });
    case MapFunction::hard_sigmoid:
      return each([=](FloatVector v) { return bounded(alpha * v + beta, zero, one); });
    case MapFunction::hard_swish:
      return each([=](FloatVector v) { return v * bounded(v / (zero + 6.0F) + 0.5F, zero, one); });
    case MapFunction::clip: return each([=](FloatVector v) { return bounded(v, alpha, beta); });
    case MapFunction::gelu: return each([](FloatVector v) { return v * normal_cdf(v); });
    case MapFunction::gelu_tanh:
      return each([=](FloatVector v) { return 0.5F * v * (one + vector_tanh(gelu_argument(v))); });
    case MapFunction::silu:
      return each([=](FloatVector v) { return v * vector_sigmoid(alpha * v); });
  }
}

template <class T>
void map_backward(const MapAttributes& attributes, const T* x, const T* y, const T* dy,
                  int64_t count, T* dx) {
  const auto each = [&](auto&& slope) __attribute__((always_inline)) {
    for_registers<T>(
        count, [&](auto&& load, auto&& store) __attribute__((always_inline)) {
          store(dx, load(dy) * slope(load(x), load(y)));
        });
  };
  using V = FloatVector;
  const V zero{}, one = zero + 1.0F, alpha = zero + attributes.alpha, beta = zero + attributes.beta;
  switch (attributes.function) {
    case MapFunction::sigmoid: return each([=](V, V r) { return r * (one - r); });
    case MapFunction::tanh: return each([=](V, V r) { return one - r * r; });
    case MapFunction::neg: return each([=](V, V) { return -one; });
    case MapFunction::exp: return each([](V, V r) { return r; });
    case MapFunction::abs:
      return each([=](V v, V) { return v > zero ? one : v < zero ? -one : zero; });
    case MapFunction::reciprocal: return each([](V, V r) { return -r * r; });
    case MapFunction::erf:
      return each([=](V v, V) { return 1.128379167F * vector_exp(-v * v); });  // 2 / sqrt(pi)
    case MapFunction::leaky_relu: return each([=](V v, V) { return v > zero ? one : alpha; });
    case MapFunction::elu:
      return each([=](V v, V) { return v < zero ? alpha * vector_exp(v) : one; });
    case MapFunction::hard_sigmoid:
      return each([=](V, V r) { return (r > zero) & (r < one) ? alpha : zero; });
    case MapFunction::hard_swish:
      return each([=](V v, V) {
        return v <= zero - 3.0F ? zero : v >= zero + 3.0F ? one : v / (zero + 3.0F) + 0.5F;
      });
    case MapFunction::clip:
      return each([=](V v, V) { return (v >= alpha) & (v <= beta) ? one : zero; });
    case MapFunction::gelu:  // 1 / sqrt(2 pi)
      return each(
          [=](V v, V) { return normal_cdf(v) + v * vector_exp(-0.5F * v * v) * 0.3989422804F; });
    case MapFunction::gelu_tanh:
      return each([=](V v, V) {
        const V t = vector_tanh(gelu_argument(v)),
                inner = 0.7978845608F * (one + 3 * 0.044715F * v * v);
        return 0.5F * (one + t) + 0.5F * v * (one - t * t) * inner;
      });
    case MapFunction::silu:
      return each([=](V v, V) {
        const V s = vector_sigmoid(alpha * v);
        return s + alpha * v * s * (one - s);
      });
  }
}

template <class T>
constexpr MapKernels<T> map_kernels() {
  return {map<T>, map_backward<T>};
}

}  // namespace
}  // namespace graft::cpu
