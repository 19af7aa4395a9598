// Element-wise functions and their derivatives: blocks of elements are widened, mapped by one loop
// a function, stored.
#include "graft/kernels/ops/unary.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

using ops::Unary;
using ops::UnaryAttributes;

template <class A>
A logistic(A x) {
  return A(1) / (A(1) + std::exp(-x));
}
template <class A>
A log_one_plus_exp(A x) {
  return std::max(x, A(0)) + std::log1p(std::exp(-std::abs(x)));
}
template <class A>
A normal_cdf(A x) {
  return A(0.5) * (A(1) + std::erf(x / std::numbers::sqrt2_v<A>));
}
// The argument of gelu_tanh's tanh.
template <class A>
A gelu_argument(A x) {
  return std::sqrt(A(2) / std::numbers::pi_v<A>) * (x + A(0.044715) * x * x * x);
}

template <class A>
A sign_of(A x) {
  return x > A(0) ? A(1) : x < A(0) ? A(-1) : x;
}  // NaN stays NaN

// values[i] = function(values[i]).
template <class A>
void apply_floating(const UnaryAttributes& f, int64_t count, A* values) {
  const A alpha = static_cast<A>(f.alpha), beta = static_cast<A>(f.beta);
  const auto map = [&](auto&& function) {
    for (int64_t i = 0; i < count; ++i) values[i] = function(values[i]);
  };
  switch (f.function) {
    case Unary::relu: return map([](A v) { return v > A(0) || v != v ? v : A(0); });
    case Unary::relu6:
      return map([](A v) { return v != v ? v : std::min(std::max(v, A(0)), A(6)); });
    case Unary::sigmoid: return map([](A v) { return logistic(v); });
    case Unary::tanh: return map([](A v) { return std::tanh(v); });
    case Unary::neg: return map([](A v) { return -v; });
    case Unary::exp: return map([](A v) { return std::exp(v); });
    case Unary::log: return map([](A v) { return std::log(v); });
    case Unary::sqrt: return map([](A v) { return std::sqrt(v); });
    case Unary::abs: return map([](A v) { return std::abs(v); });
    case Unary::reciprocal: return map([](A v) { return A(1) / v; });
    case Unary::floor: return map([](A v) { return std::floor(v); });
    case Unary::ceil: return map([](A v) { return std::ceil(v); });
    case Unary::round: return map([](A v) { return std::nearbyint(v); });
    case Unary::sign: return map([](A v) { return sign_of(v); });
    case Unary::erf: return map([](A v) { return std::erf(v); });
    case Unary::sin: return map([](A v) { return std::sin(v); });
    case Unary::cos: return map([](A v) { return std::cos(v); });
    case Unary::tan: return map([](A v) { return std::tan(v); });
    case Unary::asin: return map([](A v) { return std::asin(v); });
    case Unary::acos: return map([](A v) { return std::acos(v); });
    case Unary::atan: return map([](A v) { return std::atan(v); });
    case Unary::sinh: return map([](A v) { return std::sinh(v); });
    case Unary::cosh: return map([](A v) { return std::cosh(v); });
    case Unary::asinh: return map([](A v) { return std::asinh(v); });
    case Unary::acosh: return map([](A v) { return std::acosh(v); });
    case Unary::atanh: return map([](A v) { return std::atanh(v); });
    case Unary::softplus: return map([](A v) { return log_one_plus_exp(v); });
    case Unary::softsign: return map([](A v) { return v / (A(1) + std::abs(v)); });
    case Unary::leaky_relu: return map([=](A v) { return v < A(0) ? alpha * v : v; });
    case Unary::elu: return map([=](A v) { return v < A(0) ? alpha * std::expm1(v) : v; });
    case Unary::selu:
      return map([=](A v) { return beta * (v <= A(0) ? alpha * std::expm1(v) : v); });
    case Unary::celu: return map([=](A v) { return v < A(0) ? alpha * std::expm1(v / alpha) : v; });
    case Unary::hard_sigmoid:
      return map(
          [=](A v) { return v != v ? v : std::max(A(0), std::min(A(1), alpha * v + beta)); });
    case Unary::hard_swish:
      return map([](A v) { return v * std::max(A(0), std::min(A(1), v / A(6) + A(0.5))); });
    case Unary::thresholded_relu: return map([=](A v) { return v > alpha || v != v ? v : A(0); });
    case Unary::shrink:
      return map([=](A v) {
        return v < -alpha ? v + beta : v > alpha ? v - beta : v != v ? v : A(0);
      });
    case Unary::clip:
      return map([=](A v) { return v != v ? v : std::min(std::max(v, alpha), beta); });
    case Unary::gelu: return map([](A v) { return v * normal_cdf(v); });
    case Unary::gelu_tanh:
      return map([](A v) { return A(0.5) * v * (A(1) + std::tanh(gelu_argument(v))); });
    case Unary::silu: return map([=](A v) { return v * logistic(alpha * v); });
    case Unary::mish: return map([](A v) { return v * std::tanh(log_one_plus_exp(v)); });
    default: bad_input("unary: this function is not one of floating-point numbers");
  }
}

// The nearest int64 of a bound that may be infinite.
int64_t integer_bound(double bound) {
  if (bound >= 0x1p63) return std::numeric_limits<int64_t>::max();
  return bound <= -0x1p63 ? std::numeric_limits<int64_t>::min() : static_cast<int64_t>(bound);
}
int64_t wrapping_neg(int64_t v) { return static_cast<int64_t>(-static_cast<uint64_t>(v)); }

void apply_integer(const UnaryAttributes& f, int64_t count, int64_t* values) {
  const auto map = [&](auto&& function) {
    for (int64_t i = 0; i < count; ++i) values[i] = function(values[i]);
  };
  switch (f.function) {
    case Unary::relu: return map([](int64_t v) { return std::max<int64_t>(v, 0); });
    case Unary::relu6: return map([](int64_t v) { return std::clamp<int64_t>(v, 0, 6); });
    case Unary::neg: return map([](int64_t v) { return wrapping_neg(v); });
    case Unary::abs: return map([](int64_t v) { return v < 0 ? wrapping_neg(v) : v; });
    case Unary::sign: return map([](int64_t v) { return sign_of(v); });
    case Unary::bitwise_not: return map([](int64_t v) { return ~v; });
    case Unary::clip: {
      const int64_t low = integer_bound(std::ceil(f.alpha)),
                    high = integer_bound(std::floor(f.beta));
      return map([=](int64_t v) { return std::min(std::max(v, low), high); });
    }
    default: bad_input("unary: this function needs floating-point numbers");
  }
}

template <class A>
bool predicate(const UnaryAttributes& f, A x) {
  if (f.function == Unary::logical_not) return x == A(0);
  if (f.function == Unary::is_nan) return x != x;
  if constexpr (std::is_floating_point_v<A>)
    return std::isinf(x) && (x > 0 ? f.beta : f.alpha) != 0;
  else
    return false;
}

// dx[i] *= derivative, from the forward input x and result y.
template <class A>
void multiply_derivative(const UnaryAttributes& f, const A* x, const A* y, int64_t count, A* dx) {
  const A alpha = static_cast<A>(f.alpha), beta = static_cast<A>(f.beta);
  const auto map = [&](auto&& slope) {
    for (int64_t i = 0; i < count; ++i) dx[i] *= slope(x[i], y[i]);
  };
  switch (f.function) {
    case Unary::relu: return map([](A v, A) { return v > A(0) ? A(1) : A(0); });
    case Unary::relu6: return map([](A v, A) { return v > A(0) && v < A(6) ? A(1) : A(0); });
    case Unary::sigmoid: return map([](A, A r) { return r * (A(1) - r); });
    case Unary::tanh: return map([](A, A r) { return A(1) - r * r; });
    case Unary::neg: return map([](A, A) { return A(-1); });
    case Unary::exp: return map([](A, A r) { return r; });
    case Unary::log: return map([](A v, A) { return A(1) / v; });
    case Unary::sqrt: return map([](A, A r) { return A(1) / (A(2) * r); });
    case Unary::abs: return map([](A v, A) { return v > A(0) ? A(1) : (v < A(0) ? A(-1) : A(0)); });
    case Unary::reciprocal: return map([](A, A r) { return -r * r; });
    case Unary::floor:
    case Unary::ceil:
    case Unary::round:
    case Unary::sign: return map([](A, A) { return A(0); });
    case Unary::erf:
      return map([](A v, A) { return A(2) * std::numbers::inv_sqrtpi_v<A> * std::exp(-v * v); });
    case Unary::sin: return map([](A v, A) { return std::cos(v); });
    case Unary::cos: return map([](A v, A) { return -std::sin(v); });
    case Unary::tan: return map([](A, A r) { return A(1) + r * r; });
    case Unary::asin: return map([](A v, A) { return A(1) / std::sqrt(A(1) - v * v); });
    case Unary::acos: return map([](A v, A) { return A(-1) / std::sqrt(A(1) - v * v); });
    case Unary::atan: return map([](A v, A) { return A(1) / (A(1) + v * v); });
    case Unary::sinh: return map([](A v, A) { return std::cosh(v); });
    case Unary::cosh: return map([](A v, A) { return std::sinh(v); });
    case Unary::asinh: return map([](A v, A) { return A(1) / std::sqrt(v * v + A(1)); });
    case Unary::acosh: return map([](A v, A) { return A(1) / std::sqrt(v * v - A(1)); });
    case Unary::atanh: return map([](A v, A) { return A(1) / (A(1) - v * v); });
    case Unary::softplus: return map([](A v, A) { return logistic(v); });
    case Unary::softsign:
      return map([](A v, A) {
        const A s = A(1) + std::abs(v);
        return A(1) / (s * s);
      });
    case Unary::leaky_relu: return map([=](A v, A) { return v > A(0) ? A(1) : alpha; });
    case Unary::elu: return map([=](A v, A) { return v < A(0) ? alpha * std::exp(v) : A(1); });
    case Unary::selu:
      return map([=](A v, A) { return beta * (v <= A(0) ? alpha * std::exp(v) : A(1)); });
    case Unary::celu: return map([=](A v, A) { return v < A(0) ? std::exp(v / alpha) : A(1); });
    case Unary::hard_sigmoid:
      return map([=](A, A r) { return r > A(0) && r < A(1) ? alpha : A(0); });
    case Unary::hard_swish:
      return map([](A v, A) { return v <= A(-3) ? A(0) : v >= A(3) ? A(1) : v / A(3) + A(0.5); });
    case Unary::thresholded_relu: return map([=](A v, A) { return v > alpha ? A(1) : A(0); });
    case Unary::shrink: return map([=](A v, A) { return v < -alpha || v > alpha ? A(1) : A(0); });
    case Unary::clip: return map([=](A v, A) { return v >= alpha && v <= beta ? A(1) : A(0); });
    case Unary::gelu:
      return map([](A v, A) {
        return normal_cdf(v) +
               v * std::exp(A(-0.5) * v * v) / std::sqrt(A(2) * std::numbers::pi_v<A>);
      });
    case Unary::gelu_tanh:
      return map([](A v, A) {
        const A t = std::tanh(gelu_argument(v)),
                inner = std::sqrt(A(2) / std::numbers::pi_v<A>) * (A(1) + A(3 * 0.044715) * v * v);
        return A(0.5) * (A(1) + t) + A(0.5) * v * (A(1) - t * t) * inner;
      });
    case Unary::silu:
      return map([=](A v, A) {
        const A s = logistic(alpha * v);
        return s + alpha * v * s * (A(1) - s);
      });
    case Unary::mish:
      return map([](A v, A) {
        const A t = std::tanh(log_one_plus_exp(v));
        return t + v * (A(1) - t * t) * logistic(v);
      });
    default: bad_input("unary: this function has no gradient");
  }
}

// Calls f(first element, count) for blocks, in parallel.
template <class F>
void in_blocks(ExecContext& context, int64_t total, F&& f) {
  constexpr int64_t job = 64 * kBlock;
  context.parallel_for(ceil_div(total, job), [&](int64_t j) {
    for (int64_t at = j * job; at < std::min(total, (j + 1) * job); at += kBlock)
      f(at, std::min(kBlock, total - at));
  });
}

void forward(ExecContext& context, ops::UnaryForwardArgs& args) {
  const UnaryAttributes& f = args.attributes;
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    if (ops::is_predicate(f.function)) {
      bool* y = args.y.mutable_data<bool>();
      in_blocks(context, args.x.numel(), [&](int64_t at, int64_t count) {
        for (int64_t i = at; i < at + count; ++i) y[i] = predicate(f, convert<A>(x[i]));
      });
      return;
    }
    T* y = args.y.mutable_data<T>();
    in_blocks(context, args.x.numel(), [&](int64_t at, int64_t count) {
      A block[kBlock];
      load_block(x + at, 1, count, block);
      if constexpr (std::is_floating_point_v<A>)
        apply_floating(f, count, block);
      else
        apply_integer(f, count, block);
      store_block(block, 1, count, y + at);
    });
  });
}

void backward(ExecContext& context, ops::UnaryBackwardArgs& args) {
  visit_floating(args.x.dtype(), "unary backward", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    in_blocks(context, args.x.numel(), [&](int64_t at, int64_t count) {
      A inputs[kBlock] = {}, results[kBlock] = {}, slopes[kBlock] = {};
      load_block(x + at, 1, count, inputs);
      load_block(y + at, 1, count, results);
      load_block(dy + at, 1, count, slopes);
      multiply_derivative(args.attributes, inputs, results, count, slopes);
      store_block(slopes, 1, count, dx + at);
    });
  });
}

}  // namespace

void unary_forward(ExecContext& context, ops::UnaryForwardArgs args) { forward(context, args); }

void register_unary(ops::UnaryKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
