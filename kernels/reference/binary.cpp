// Element-wise functions of two tensors with broadcasting, one element at a time.
#include "graft/kernels/ops/binary.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::Binary;

// Strides of an input seen through the output's shape: 0 on stretched axes.
Index broadcast_strides(const Tensor& input, const Shape& out) {
  const Index own = element_strides(input);
  Index strides{};
  const int shift = out.rank() - input.rank();
  for (int axis = shift; axis < out.rank(); ++axis)
    if (input.shape()[axis - shift] != 1) strides[static_cast<size_t>(axis)] = own[static_cast<size_t>(axis - shift)];
  return strides;
}

template <class A>
A value(Binary function, A a, A b) {
  switch (function) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: break;
  }
  if constexpr (std::is_integral_v<A>) return b == 0 ? 0 : a / b;
  else return a / b;
}

void forward(ExecContext&, ops::BinaryForwardArgs& args) {
  const Shape& shape = args.y.shape();
  const Index sa = broadcast_strides(args.a, shape), sb = broadcast_strides(args.b, shape), sy = element_strides(args.y);
  visit_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *a = args.a.data<T>(), *b = args.b.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_index(shape, [&](const Index& i) {
      y[offset_of(i, sy, shape.rank())] =
          convert<T>(value(args.attributes.function, convert<A>(a[offset_of(i, sa, shape.rank())]),
                           convert<A>(b[offset_of(i, sb, shape.rank())])));
    });
  });
}

void backward(ExecContext&, ops::BinaryBackwardArgs& args) {
  const Shape& shape = args.dy.shape();
  const Index sa = broadcast_strides(args.a, shape), sb = broadcast_strides(args.b, shape), sy = element_strides(args.dy);
  visit_floating(args.dy.dtype(), "binary", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *a = args.a.data<T>(), *b = args.b.data<T>(), *dy = args.dy.data<T>();
    std::vector<A> da(static_cast<size_t>(args.da ? args.a.numel() : 0)), db(static_cast<size_t>(args.db ? args.b.numel() : 0));
    for_each_index(shape, [&](const Index& i) {
      const int64_t ia = offset_of(i, sa, shape.rank()), ib = offset_of(i, sb, shape.rank());
      const A g = convert<A>(dy[offset_of(i, sy, shape.rank())]), x = convert<A>(a[ia]), z = convert<A>(b[ib]);
      A ga = g, gb = g;
      switch (args.attributes.function) {
        case Binary::add: break;
        case Binary::sub: gb = -g; break;
        case Binary::mul: ga = g * z, gb = g * x; break;
        case Binary::div: ga = g / z, gb = -g * x / (z * z); break;
      }
      if (args.da) da[static_cast<size_t>(ia)] += ga;
      if (args.db) db[static_cast<size_t>(ib)] += gb;
    });
    const auto store = [](const std::vector<A>& sums, Tensor* to) {
      if (!to) return;
      T* out = to->mutable_data<T>();
      for (size_t i = 0; i < sums.size(); ++i) out[i] = convert<T>(sums[i]);
    };
    store(da, args.da);
    store(db, args.db);
  });
}

}  // namespace

void register_binary(KernelSet& set) {
  set.binary.forward.add({"reference", takes_all, forward});
  set.binary.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
