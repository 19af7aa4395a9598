// Element-wise functions and their derivatives, one element at a time.
#include "graft/kernels/ops/unary.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::Unary;

template <class A>
A value(Unary function, A x) {
  switch (function) {
    case Unary::relu: return x > A(0) || x != x ? x : A(0);
    case Unary::relu6: return x != x ? x : std::min(std::max(x, A(0)), A(6));
    case Unary::sigmoid: return A(1) / (A(1) + std::exp(-x));
    case Unary::tanh: return std::tanh(x);
    case Unary::neg: return -x;
    case Unary::exp: return std::exp(x);
    case Unary::log: return std::log(x);
    case Unary::sqrt: return std::sqrt(x);
    case Unary::abs: return std::abs(x);
  }
  return x;
}

template <class A>
A derivative(Unary function, A x, A y) {
  switch (function) {
    case Unary::relu: return x > A(0) ? A(1) : A(0);
    case Unary::relu6: return x > A(0) && x < A(6) ? A(1) : A(0);
    case Unary::sigmoid: return y * (A(1) - y);
    case Unary::tanh: return A(1) - y * y;
    case Unary::neg: return A(-1);
    case Unary::exp: return y;
    case Unary::log: return A(1) / x;
    case Unary::sqrt: return A(1) / (A(2) * y);
    case Unary::abs: return x > A(0) ? A(1) : (x < A(0) ? A(-1) : A(0));
  }
  return A(1);
}

void forward(ExecContext&, ops::UnaryForwardArgs& args) {
  visit_floating(args.x.dtype(), "unary", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for (int64_t i = 0; i < args.x.numel(); ++i) y[i] = convert<T>(value(args.attributes.function, convert<A>(x[i])));
  });
}

void backward(ExecContext&, ops::UnaryBackwardArgs& args) {
  visit_floating(args.x.dtype(), "unary backward", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    for (int64_t i = 0; i < args.x.numel(); ++i)
      dx[i] = convert<T>(convert<A>(dy[i]) * derivative(args.attributes.function, convert<A>(x[i]), convert<A>(y[i])));
  });
}

}  // namespace

void register_unary(KernelSet& set) {
  set.unary.forward.add({"reference", takes_all, forward});
  set.unary.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
