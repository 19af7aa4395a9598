// Softmax and log-softmax along an axis.
#include "graft/kernels/ops/softmax.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// Calls f(offset of the first element) for every line along `axis`.
template <class F>
void for_each_line(const Tensor& t, int axis, F&& f) {
  const Index strides = element_strides(t);
  for_each_index(t.shape().with(axis, 1), [&](const Index& i) { f(offset_of(i, strides, t.rank())); });
}

void forward(ExecContext&, ops::SoftmaxForwardArgs& args) {
  const int axis = args.attributes.axis;
  const int64_t count = args.x.shape()[axis], step = element_strides(args.x)[static_cast<size_t>(axis)];
  if (args.x.numel() == 0) return;
  visit_floating(args.x.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_line(args.x, axis, [&](int64_t at) {
      A top = convert<A>(x[at]);
      for (int64_t i = 1; i < count; ++i) top = std::max(top, convert<A>(x[at + i * step]));
      A sum{};
      for (int64_t i = 0; i < count; ++i) sum += std::exp(convert<A>(x[at + i * step]) - top);
      const A log_sum = std::log(sum);
      for (int64_t i = 0; i < count; ++i) {
        const A shifted = convert<A>(x[at + i * step]) - top;
        y[at + i * step] = convert<T>(args.attributes.log ? shifted - log_sum : std::exp(shifted) / sum);
      }
    });
  });
}

void backward(ExecContext&, ops::SoftmaxBackwardArgs& args) {
  const int axis = args.attributes.axis;
  const int64_t count = args.y.shape()[axis], step = element_strides(args.y)[static_cast<size_t>(axis)];
  if (args.y.numel() == 0) return;
  visit_floating(args.y.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    for_each_line(args.y, axis, [&](int64_t at) {
      A sum{};
      for (int64_t i = at; i < at + count * step; i += step)
        sum += args.attributes.log ? convert<A>(dy[i]) : convert<A>(dy[i]) * convert<A>(y[i]);
      for (int64_t i = at; i < at + count * step; i += step) {
        const A g = convert<A>(dy[i]), p = convert<A>(y[i]);
        dx[i] = convert<T>(args.attributes.log ? g - std::exp(p) * sum : p * (g - sum));
      }
    });
  });
}

}  // namespace

void register_softmax(KernelSet& set) {
  set.softmax.forward.add({"reference", takes_all, forward});
  set.softmax.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
