// The element-wise functions of ops/unary.h and ops/binary.h and their derivatives, in float, on
// host and device.
#pragma once
#include <cmath>

#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/unary.h"

namespace graft::cuda {

GRAFT_HD float logistic(float x) { return 1.f / (1.f + expf(-x)); }
GRAFT_HD float log_one_plus_exp(float x) { return fmaxf(x, 0.f) + log1pf(expf(-fabsf(x))); }
GRAFT_HD float normal_cdf(float x) { return 0.5f * (1.f + erff(x * 0.70710678118654752f)); }
GRAFT_HD float gelu_argument(float x) { return 0.79788456080286536f * (x + 0.044715f * x * x * x); }
GRAFT_HD float clamp(float x, float low, float high) {
  return x != x ? x : fminf(fmaxf(x, low), high);
}

// alpha and beta as ops/unary.h names them at each function.
GRAFT_HD float unary_value(ops::Unary function, float x, float alpha, float beta) {
  using ops::Unary;
  switch (function) {
    case Unary::relu: return x > 0 || x != x ? x : 0.f;
    case Unary::relu6: return clamp(x, 0.f, 6.f);
    case Unary::sigmoid: return logistic(x);
    case Unary::tanh: return tanhf(x);
    case Unary::neg: return -x;
    case Unary::exp: return expf(x);
    case Unary::log: return logf(x);
    case Unary::sqrt: return sqrtf(x);
    case Unary::abs: return fabsf(x);
    case Unary::reciprocal: return 1.f / x;
    case Unary::floor: return floorf(x);
    case Unary::ceil: return ceilf(x);
    case Unary::round: return rintf(x);
    case Unary::sign: return x > 0 ? 1.f : x < 0 ? -1.f : x;
    case Unary::erf: return erff(x);
    case Unary::sin: return sinf(x);
    case Unary::cos: return cosf(x);
    case Unary::tan: return tanf(x);
    case Unary::asin: return asinf(x);
    case Unary::acos: return acosf(x);
    case Unary::atan: return atanf(x);
    case Unary::sinh: return sinhf(x);
    case Unary::cosh: return coshf(x);
    case Unary::asinh: return asinhf(x);
    case Unary::acosh: return acoshf(x);
    case Unary::atanh: return atanhf(x);
    case Unary::softplus: return log_one_plus_exp(x);
    case Unary::softsign: return x / (1.f + fabsf(x));
    case Unary::leaky_relu: return x < 0 ? alpha * x : x;
    case Unary::elu: return x < 0 ? alpha * expm1f(x) : x;
    case Unary::selu: return beta * (x <= 0 ? alpha * expm1f(x) : x);
    case Unary::celu: return x < 0 ? alpha * expm1f(x / alpha) : x;
    case Unary::hard_sigmoid: return clamp(alpha * x + beta, 0.f, 1.f);
    case Unary::hard_swish: return x * clamp(x / 6.f + 0.5f, 0.f, 1.f);
    case Unary::thresholded_relu: return x > alpha || x != x ? x : 0.f;
    case Unary::shrink: return x < -alpha ? x + beta : x > alpha ? x - beta : x != x ? x : 0.f;
    case Unary::clip: return clamp(x, alpha, beta);
    case Unary::gelu: return x * normal_cdf(x);
    case Unary::gelu_tanh: return 0.5f * x * (1.f + tanhf(gelu_argument(x)));
    case Unary::silu: return x * logistic(alpha * x);
    case Unary::mish: return x * tanhf(log_one_plus_exp(x));
    default: return NAN;  // the others are of integers, or predicates
  }
}

// dy/dx from the forward input x and result y.
GRAFT_HD float unary_slope(ops::Unary function, float x, float y, float alpha, float beta) {
  using ops::Unary;
  switch (function) {
    case Unary::relu: return x > 0 ? 1.f : 0.f;
    case Unary::relu6: return x > 0 && x < 6 ? 1.f : 0.f;
    case Unary::sigmoid: return y * (1.f - y);
    case Unary::tanh: return 1.f - y * y;
    case Unary::neg: return -1.f;
    case Unary::exp: return y;
    case Unary::log: return 1.f / x;
    case Unary::sqrt: return 0.5f / y;
    case Unary::abs: return x > 0 ? 1.f : x < 0 ? -1.f : 0.f;
    case Unary::reciprocal: return -y * y;
    case Unary::floor:
    case Unary::ceil:
    case Unary::round:
    case Unary::sign: return 0.f;
    case Unary::erf: return 1.12837916709551257f * expf(-x * x);
    case Unary::sin: return cosf(x);
    case Unary::cos: return -sinf(x);
    case Unary::tan: return 1.f + y * y;
    case Unary::asin: return 1.f / sqrtf(1.f - x * x);
    case Unary::acos: return -1.f / sqrtf(1.f - x * x);
    case Unary::atan: return 1.f / (1.f + x * x);
    case Unary::sinh: return coshf(x);
    case Unary::cosh: return sinhf(x);
    case Unary::asinh: return 1.f / sqrtf(x * x + 1.f);
    case Unary::acosh: return 1.f / sqrtf(x * x - 1.f);
    case Unary::atanh: return 1.f / (1.f - x * x);
    case Unary::softplus: return logistic(x);
    case Unary::softsign: return 1.f / ((1.f + fabsf(x)) * (1.f + fabsf(x)));
    case Unary::leaky_relu: return x > 0 ? 1.f : alpha;
    case Unary::elu: return x < 0 ? alpha * expf(x) : 1.f;
    case Unary::selu: return beta * (x <= 0 ? alpha * expf(x) : 1.f);
    case Unary::celu: return x < 0 ? expf(x / alpha) : 1.f;
    case Unary::hard_sigmoid: return y > 0 && y < 1 ? alpha : 0.f;
    case Unary::hard_swish: return x <= -3 ? 0.f : x >= 3 ? 1.f : x / 3.f + 0.5f;
    case Unary::thresholded_relu: return x > alpha ? 1.f : 0.f;
    case Unary::shrink: return x < -alpha || x > alpha ? 1.f : 0.f;
    case Unary::clip: return x >= alpha && x <= beta ? 1.f : 0.f;
    case Unary::gelu: return normal_cdf(x) + x * 0.39894228040143268f * expf(-0.5f * x * x);
    case Unary::gelu_tanh: {
      const float t = tanhf(gelu_argument(x));
      return 0.5f * (1.f + t) +
             0.5f * x * (1.f - t * t) * 0.79788456080286536f * (1.f + 3.f * 0.044715f * x * x);
    }
    case Unary::silu: {
      const float s = logistic(alpha * x);
      return s + alpha * x * s * (1.f - s);
    }
    case Unary::mish: {
      const float t = tanhf(log_one_plus_exp(x));
      return t + x * (1.f - t * t) * logistic(x);
    }
    default: return NAN;
  }
}

constexpr bool has_unary(ops::Unary function) { return function <= ops::Unary::mish; }

GRAFT_HD float floored_mod(float a, float b) {
  const float rest = fmodf(a, b);
  return rest != 0.f && (rest < 0.f) != (b < 0.f) ? rest + b : rest;
}

GRAFT_HD float binary_value(ops::Binary function, float a, float b) {
  using ops::Binary;
  switch (function) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
    case Binary::pow: return b == 2.f ? a * a : powf(a, b);
    case Binary::mod: return floored_mod(a, b);
    case Binary::fmod: return fmodf(a, b);
    case Binary::min: return a != a || a < b ? a : b;
    case Binary::max: return a != a || a > b ? a : b;
    case Binary::prelu: return a < 0 ? a * b : a;
    default: return NAN;
  }
}

// The derivatives in a and in b.
struct Slopes {
  float a, b;
};
GRAFT_HD Slopes binary_slopes(ops::Binary function, float a, float b) {
  using ops::Binary;
  switch (function) {
    case Binary::add: return {1.f, 1.f};
    case Binary::sub: return {1.f, -1.f};
    case Binary::mul: return {b, a};
    case Binary::div: return {1.f / b, -a / (b * b)};
    case Binary::pow:
      return {b == 0 ? 0.f : b * powf(a, b - 1.f), a == 0 && b >= 0 ? 0.f : powf(a, b) * logf(a)};
    case Binary::mod: return {1.f, -floorf(a / b)};
    case Binary::fmod: return {1.f, -truncf(a / b)};
    case Binary::min:
      return a == b ? Slopes{0.5f, 0.5f} : a != a || a < b ? Slopes{1.f, 0.f} : Slopes{0.f, 1.f};
    case Binary::max:
      return a == b ? Slopes{0.5f, 0.5f} : a != a || a > b ? Slopes{1.f, 0.f} : Slopes{0.f, 1.f};
    case Binary::prelu: return a < 0 ? Slopes{b, a} : Slopes{1.f, 0.f};
    default: return {NAN, NAN};
  }
}

constexpr bool has_binary(ops::Binary function) { return function <= ops::Binary::prelu; }

}  // namespace graft::cuda
