// Integer arithmetic of ops/unary.h and ops/binary.h, in int64, on host and device: it wraps
// around, and nothing is undefined. And predicates over any number.
#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/unary.h"

namespace graft::cuda {

GRAFT_HD int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }
GRAFT_HD uint64_t unsign(int64_t value) { return static_cast<uint64_t>(value); }

GRAFT_HD int64_t integer_pow(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1;
  for (uint64_t power = unsign(base); exponent; exponent >>= 1, power *= power)
    if (exponent & 1) result *= power;
  return wrap(result);
}
GRAFT_HD int64_t integer_div(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? wrap(0 - unsign(a)) : a / b;
}
GRAFT_HD int64_t integer_fmod(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
GRAFT_HD int64_t integer_mod(int64_t a, int64_t b) {
  const int64_t rest = integer_fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

GRAFT_HD int64_t binary_integer(ops::Binary function, int64_t a, int64_t b) {
  using ops::Binary;
  switch (function) {
    case Binary::add: return wrap(unsign(a) + unsign(b));
    case Binary::sub: return wrap(unsign(a) - unsign(b));
    case Binary::mul: return wrap(unsign(a) * unsign(b));
    case Binary::div: return integer_div(a, b);
    case Binary::pow: return integer_pow(a, b);
    case Binary::mod: return integer_mod(a, b);
    case Binary::fmod: return integer_fmod(a, b);
    case Binary::min: return a < b ? a : b;
    case Binary::max: return a > b ? a : b;
    case Binary::prelu: return a < 0 ? wrap(unsign(a) * unsign(b)) : a;
    case Binary::bit_and: return a & b;
    case Binary::bit_or: return a | b;
    case Binary::bit_xor: return a ^ b;
    case Binary::shift_left: return b < 0 || b > 63 ? 0 : wrap(unsign(a) << b);
    default: return a >> (b < 0 || b > 63 ? 63 : b);  // shift_right
  }
}

// A: float or int64.
template <class A>
GRAFT_HD bool binary_predicate(ops::Binary function, A a, A b) {
  using ops::Binary;
  switch (function) {
    case Binary::logical_and: return a != A(0) && b != A(0);
    case Binary::logical_or: return a != A(0) || b != A(0);
    case Binary::logical_xor: return (a != A(0)) != (b != A(0));
    case Binary::equal: return a == b;
    case Binary::not_equal: return a != b;
    case Binary::less: return a < b;
    case Binary::less_or_equal: return a <= b;
    case Binary::greater: return a > b;
    default: return a >= b;  // greater_or_equal
  }
}

constexpr bool has_integer(ops::Unary function) {
  using ops::Unary;
  return function == Unary::relu || function == Unary::relu6 || function == Unary::neg ||
         function == Unary::abs || function == Unary::sign || function == Unary::bitwise_not ||
         function == Unary::clip;
}
// `low`, `high`: clip's bounds.
GRAFT_HD int64_t unary_integer(ops::Unary function, int64_t x, int64_t low, int64_t high) {
  using ops::Unary;
  switch (function) {
    case Unary::relu: return x > 0 ? x : 0;
    case Unary::relu6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case Unary::neg: return wrap(0 - unsign(x));
    case Unary::abs: return x < 0 ? wrap(0 - unsign(x)) : x;
    case Unary::sign: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Unary::bitwise_not: return ~x;
    default: {  // clip
      const int64_t raised = x > low ? x : low;
      return raised < high ? raised : high;
    }
  }
}

// is_inf counts -infinity and +infinity when `negative` and `positive` say so.
template <class A>
GRAFT_HD bool unary_predicate(ops::Unary function, A x, bool negative, bool positive) {
  if (function == ops::Unary::logical_not) return x == A(0);
  if (function == ops::Unary::is_nan) return x != x;
  if constexpr (std::is_floating_point_v<A>)
    return x - x != x - x && x == x && (x > 0 ? positive : negative);
  else
    return false;
}

}  // namespace graft::cuda
