// Element-wise functions of two tensors with broadcasting: rows are widened in blocks, one loop a
// function.
#include "graft/kernels/ops/binary.h"

#include <cmath>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

using ops::Binary;

template <class A>
A smaller(A a, A b) {
  return a != a || a < b ? a : b;
}  // a NaN wins
template <class A>
A larger(A a, A b) {
  return a != a || a > b ? a : b;
}

// Two's complement arithmetic, where signed overflow would be undefined.
int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t bits(int64_t value) { return static_cast<uint64_t>(value); }

int64_t integer_pow(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, power = bits(base);
  for (; exponent; exponent >>= 1, power *= power)
    if (exponent & 1) result *= power;
  return wrap(result);
}
// Counts below 0 are as too large ones.
int64_t shifted_right(int64_t value, int64_t count) {
  return value >> (count < 0 || count > 63 ? 63 : count);
}
int64_t integer_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? wrap(-bits(a)) : a / b; }
int64_t integer_fmod(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
int64_t integer_mod(int64_t a, int64_t b) {
  const int64_t rest = integer_fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

template <class A>
A floored_mod(A a, A b) {
  const A rest = std::fmod(a, b);
  return rest != A(0) && (rest < A(0)) != (b < A(0)) ? rest + b : rest;
}

// a[i] = function(a[i], b[i]).
void apply_block(Binary function, int64_t* a, int64_t* b, int64_t count) {
  const auto map = [&](auto&& f) {
    for (int64_t i = 0; i < count; ++i) a[i] = f(a[i], b[i]);
  };
  switch (function) {
    case Binary::add: return map([](int64_t u, int64_t v) { return wrap(bits(u) + bits(v)); });
    case Binary::sub: return map([](int64_t u, int64_t v) { return wrap(bits(u) - bits(v)); });
    case Binary::mul: return map([](int64_t u, int64_t v) { return wrap(bits(u) * bits(v)); });
    case Binary::div: return map(integer_div);
    case Binary::pow: return map(integer_pow);
    case Binary::mod: return map(integer_mod);
    case Binary::fmod: return map(integer_fmod);
    case Binary::min: return map(smaller<int64_t>);
    case Binary::max: return map(larger<int64_t>);
    case Binary::prelu:
      return map([](int64_t u, int64_t v) { return u < 0 ? wrap(bits(u) * bits(v)) : u; });
    case Binary::bit_and: return map([](int64_t u, int64_t v) { return u & v; });
    case Binary::bit_or: return map([](int64_t u, int64_t v) { return u | v; });
    case Binary::bit_xor: return map([](int64_t u, int64_t v) { return u ^ v; });
    case Binary::shift_left:
      return map([](int64_t u, int64_t v) { return v < 0 || v > 63 ? 0 : wrap(bits(u) << v); });
    case Binary::shift_right: return map(shifted_right);
    default: bad_input("binary: this function has no number as its result");
  }
}

template <class A>
void apply_block(Binary function, A* a, A* b, int64_t count) {
  const auto map = [&](auto&& f) {
    for (int64_t i = 0; i < count; ++i) a[i] = f(a[i], b[i]);
  };
  switch (function) {
    case Binary::add: return map([](A u, A v) { return u + v; });
    case Binary::sub: return map([](A u, A v) { return u - v; });
    case Binary::mul: return map([](A u, A v) { return u * v; });
    case Binary::div: return map([](A u, A v) { return u / v; });
    case Binary::pow: return map([](A u, A v) { return v == A(2) ? u * u : std::pow(u, v); });
    case Binary::mod: return map([](A u, A v) { return floored_mod(u, v); });
    case Binary::fmod: return map([](A u, A v) { return std::fmod(u, v); });
    case Binary::min: return map([](A u, A v) { return smaller(u, v); });
    case Binary::max: return map([](A u, A v) { return larger(u, v); });
    case Binary::prelu: return map([](A u, A v) { return u < A(0) ? u * v : u; });
    default: bad_input("binary: this function is not one of floating-point numbers");
  }
}

template <class A>
void compare_block(Binary function, A* a, A* b, int64_t count, bool* y, int64_t step) {
  const auto map = [&](auto&& f) {
    for (int64_t i = 0; i < count; ++i) y[i * step] = f(a[i], b[i]);
  };
  switch (function) {
    case Binary::logical_and: return map([](A u, A v) { return u != A(0) && v != A(0); });
    case Binary::logical_or: return map([](A u, A v) { return u != A(0) || v != A(0); });
    case Binary::logical_xor: return map([](A u, A v) { return (u != A(0)) != (v != A(0)); });
    case Binary::equal: return map([](A u, A v) { return u == v; });
    case Binary::not_equal: return map([](A u, A v) { return u != v; });
    case Binary::less: return map([](A u, A v) { return u < v; });
    case Binary::less_or_equal: return map([](A u, A v) { return u <= v; });
    case Binary::greater: return map([](A u, A v) { return u > v; });
    case Binary::greater_or_equal: return map([](A u, A v) { return u >= v; });
    default: bad_input("binary: this function is no comparison");
  }
}

void forward(ExecContext& context, ops::BinaryForwardArgs& args) {
  const Shape& shape = args.y.shape();
  const Walk<3> walk(shape, {element_strides(args.y), broadcast_strides(args.a, shape),
                             broadcast_strides(args.b, shape)});
  const Binary function = args.attributes.function;
  const bool compares = ops::is_predicate(function);
  visit_dtype(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *a = args.a.data<T>(), *b = args.b.data<T>();
    T* y = compares ? nullptr : args.y.mutable_data<T>();
    bool* truth = compares ? args.y.mutable_data<bool>() : nullptr;
    walk.for_each_row(context, [&](const std::array<int64_t, 3>& row, int64_t length) {
      A u[kBlock], v[kBlock];
      for (int64_t at = 0; at < length; at += kBlock) {
        const int64_t count = std::min(kBlock, length - at), to = row[0] + at * walk.step(0);
        load_block(a + row[1] + at * walk.step(1), walk.step(1), count, u);
        load_block(b + row[2] + at * walk.step(2), walk.step(2), count, v);
        if (compares) {
          compare_block(function, u, v, count, truth + to, walk.step(0));
        } else {
          apply_block(function, u, v, count);
          store_block(u, walk.step(0), count, y + to);
        }
      }
    });
  });
}

// The two gradients of one element, from the incoming one.
template <class A>
void gradients(Binary function, A a, A b, A g, A& ga, A& gb) {
  ga = gb = g;
  switch (function) {
    case Binary::add: return;
    case Binary::sub: gb = -g; return;
    case Binary::mul: ga = g * b, gb = g * a; return;
    case Binary::div: ga = g / b, gb = -g * a / (b * b); return;
    case Binary::pow:
      ga = b == A(0) ? A(0) : g * b * std::pow(a, b - A(1));
      gb = a == A(0) && b >= A(0) ? A(0) : g * std::pow(a, b) * std::log(a);
      return;
    case Binary::mod: gb = -g * std::floor(a / b); return;
    case Binary::fmod: gb = -g * std::trunc(a / b); return;
    case Binary::min:
    case Binary::max: {
      const bool first = function == Binary::min ? a < b : a > b;
      if (a == b)
        ga = gb = g / A(2);
      else
        (first ? gb : ga) = A(0);
      return;
    }
    case Binary::prelu: ga = a < A(0) ? g * b : g, gb = a < A(0) ? g * a : A(0); return;
    default: bad_input("binary: this function has no gradient");
  }
}

// Which of the two gradients is wanted.
struct FirstGradient {
  template <class A>
  static A of(A ga, A) {
    return ga;
  }
};
struct SecondGradient {
  template <class A>
  static A of(A, A gb) {
    return gb;
  }
};

// The gradient of an input that was not stretched: element by element.
template <class Which>
void plain_gradient(ExecContext& context, const ops::BinaryBackwardArgs& args, Tensor& to) {
  const Shape& shape = args.dy.shape();
  const Walk<4> walk(shape, {element_strides(args.dy), broadcast_strides(args.a, shape),
                             broadcast_strides(args.b, shape), element_strides(to)});
  visit_floating(args.dy.dtype(), "binary", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *a = args.a.data<T>(), *b = args.b.data<T>(), *dy = args.dy.data<T>();
    T* out = to.mutable_data<T>();
    walk.for_each_row(context, [&](const std::array<int64_t, 4>& row, int64_t length) {
      for (int64_t i = 0; i < length; ++i) {
        A ga, gb;
        gradients(args.attributes.function, convert<A>(a[row[1] + i * walk.step(1)]),
                  convert<A>(b[row[2] + i * walk.step(2)]),
                  convert<A>(dy[row[0] + i * walk.step(0)]), ga, gb);
        out[row[3] + i * walk.step(3)] = convert<T>(Which::of(ga, gb));
      }
    });
  });
}

// The gradient of a stretched input: summed in double, in the memory order of dy.
template <class Which>
void summed_gradient(const ops::BinaryBackwardArgs& args, Tensor& to) {
  const Shape& shape = args.dy.shape();
  const Walk<4> walk(shape, {element_strides(args.dy), broadcast_strides(args.a, shape),
                             broadcast_strides(args.b, shape), broadcast_strides(to, shape)});
  std::vector<double> sums(static_cast<size_t>(to.numel()));
  visit_floating(args.dy.dtype(), "binary", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *a = args.a.data<T>(), *b = args.b.data<T>(), *dy = args.dy.data<T>();
    walk.for_each_row([&](const std::array<int64_t, 4>& row, int64_t length) {
      double* out = sums.data() + row[3];
      double sum = 0;  // of a row that meets in one element
      for (int64_t i = 0; i < length; ++i) {
        A ga, gb;
        gradients(args.attributes.function, convert<A>(a[row[1] + i * walk.step(1)]),
                  convert<A>(b[row[2] + i * walk.step(2)]),
                  convert<A>(dy[row[0] + i * walk.step(0)]), ga, gb);
        (walk.step(3) == 0 ? sum : out[i * walk.step(3)]) += static_cast<double>(Which::of(ga, gb));
      }
      *out += sum;
    });
    T* elements = to.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) elements[i] = convert<T>(sums[i]);
  });
}

void backward(ExecContext& context, ops::BinaryBackwardArgs& args) {
  const auto plain = [&](const Tensor& to) { return to.shape() == args.dy.shape(); };
  if (args.da)
    plain(*args.da) ? plain_gradient<FirstGradient>(context, args, *args.da)
                    : summed_gradient<FirstGradient>(args, *args.da);
  if (args.db)
    plain(*args.db) ? plain_gradient<SecondGradient>(context, args, *args.db)
                    : summed_gradient<SecondGradient>(args, *args.db);
}

}  // namespace

void register_binary(ops::BinaryKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
