// Softmax and log-softmax along an axis.
#include "graft/kernels/ops/softmax.h"

#include <cmath>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

// Calls f(offset of the first element) for every line along `axis`, in parallel.
template <class F>
void for_each_line(ExecContext& context, const Tensor& t, int axis, F&& f) {
  const AxisBlocks blocks(t, axis);
  const int64_t count = t.shape()[axis], lines = blocks.outer * blocks.inner,
                of_job = std::max<int64_t>(1, 4096 / count);
  context.parallel_for(ceil_div(lines, of_job), [&](int64_t job) {
    for (int64_t line = job * of_job; line < std::min(lines, (job + 1) * of_job); ++line)
      f(line / blocks.inner * count * blocks.inner + line % blocks.inner);
  });
}

void forward(ExecContext& context, ops::SoftmaxForwardArgs& args) {
  const int axis = args.attributes.axis;
  const int64_t count = args.x.shape()[axis],
                step = element_strides(args.x)[static_cast<size_t>(axis)];
  if (args.x.numel() == 0) return;
  visit_floating(args.x.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_line(context, args.x, axis, [&](int64_t at) {
      A top = convert<A>(x[at]);
      for (int64_t i = 1; i < count; ++i) top = std::max(top, convert<A>(x[at + i * step]));
      A sum{};
      for (int64_t i = 0; i < count; ++i) sum += std::exp(convert<A>(x[at + i * step]) - top);
      const A log_sum = std::log(sum);
      for (int64_t i = 0; i < count; ++i) {
        const A shifted = convert<A>(x[at + i * step]) - top;
        y[at + i * step] =
            convert<T>(args.attributes.log ? shifted - log_sum : std::exp(shifted) / sum);
      }
    });
  });
}

void backward(ExecContext& context, ops::SoftmaxBackwardArgs& args) {
  const int axis = args.attributes.axis;
  const int64_t count = args.y.shape()[axis],
                step = element_strides(args.y)[static_cast<size_t>(axis)];
  if (args.y.numel() == 0) return;
  visit_floating(args.y.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    for_each_line(context, args.y, axis, [&](int64_t at) {
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

void register_softmax(ops::SoftmaxKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
