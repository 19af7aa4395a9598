// Linear by its definition: dot products in the accumulation type.
#include "graft/kernels/ops/linear.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

void forward(ExecContext& context, ops::LinearForwardArgs& args) {
  const int64_t rows = args.x.shape()[0], in = args.x.shape()[1], out = args.weight.shape()[0];
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *weight = args.weight.data<T>();
    const T* bias = args.bias ? args.bias->data<T>() : nullptr;
    T* y = args.y.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t m) {
      for (int64_t o = 0; o < out; ++o) {
        A sum = bias ? convert<A>(bias[o]) : A(0);
        for (int64_t i = 0; i < in; ++i)
          sum += convert<A>(x[m * in + i]) * convert<A>(weight[o * in + i]);
        y[m * out + o] = convert<T>(sum);
      }
    });
  });
}

void backward_data(ExecContext& context, ops::LinearBackwardDataArgs& args) {
  const int64_t rows = args.dy.shape()[0], out = args.weight.shape()[0],
                in = args.weight.shape()[1];
  visit_floating(args.dy.dtype(), "linear", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *dy = args.dy.data<T>(), *weight = args.weight.data<T>();
    T* dx = args.dx.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t m) {
      for (int64_t i = 0; i < in; ++i) {
        A sum{};
        for (int64_t o = 0; o < out; ++o)
          sum += convert<A>(dy[m * out + o]) * convert<A>(weight[o * in + i]);
        dx[m * in + i] = convert<T>(sum);
      }
    });
  });
}

void backward_weight(ExecContext& context, ops::LinearBackwardWeightArgs& args) {
  const int64_t rows = args.x.shape()[0], in = args.x.shape()[1], out = args.dy.shape()[1];
  visit_floating(args.dy.dtype(), "linear", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *dy = args.dy.data<T>();
    T* dweight = args.dweight ? args.dweight->mutable_data<T>() : nullptr;
    T* dbias = args.dbias ? args.dbias->mutable_data<T>() : nullptr;
    context.parallel_for(out, [&](int64_t o) {
      if (dbias) {
        A sum{};
        for (int64_t m = 0; m < rows; ++m) sum += convert<A>(dy[m * out + o]);
        dbias[o] = convert<T>(sum);
      }
      for (int64_t i = 0; dweight && i < in; ++i) {
        A sum{};
        for (int64_t m = 0; m < rows; ++m)
          sum += convert<A>(dy[m * out + o]) * convert<A>(x[m * in + i]);
        dweight[o * in + i] = convert<T>(sum);
      }
    });
  });
}

}  // namespace

void register_linear(ops::LinearKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward_data.add({"reference", takes_all, backward_data});
  kernels.backward_weight.add({"reference", takes_all, backward_weight});
}

}  // namespace graft::reference
