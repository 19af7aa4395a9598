// Concatenation along one axis, and its inverse.
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

// Calls f(offset in the whole, offset in the part, elements) for the runs of a part that starts at
// `base` on the axis.
template <class F>
void for_each_run(const Tensor& whole, int axis, int64_t base, int64_t extent, F&& f) {
  if (whole.numel() == 0) return;
  const AxisBlocks blocks(whole, axis);
  const int64_t run = extent * blocks.inner;
  for (int64_t o = 0; o < blocks.outer; ++o)
    f((o * whole.shape()[axis] + base) * blocks.inner, o * run, run);
}

void forward(ExecContext&, ops::ConcatForwardArgs& args) {
  visit_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* y = args.y.mutable_data<T>();
    int64_t base = 0;
    for (const Tensor& input : args.inputs) {
      const T* x = input.data<T>();
      const int64_t extent = input.shape()[args.axis];
      for_each_run(args.y, args.axis, base, extent, [&](int64_t to, int64_t from, int64_t count) {
        std::copy(x + from, x + from + count, y + to);
      });
      base += extent;
    }
  });
}

void backward(ExecContext&, ops::ConcatBackwardArgs& args) {
  visit_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* dy = args.dy.data<T>();
    int64_t base = 0;
    for (size_t k = 0; k < args.dinputs.size(); base += args.extents[k], ++k) {
      Tensor& dinput = args.dinputs[k];
      if (!dinput.defined()) continue;
      T* dx = dinput.mutable_data<T>();
      for_each_run(args.dy, args.axis, base, args.extents[k],
                   [&](int64_t from, int64_t to, int64_t count) {
                     std::copy(dy + from, dy + from + count, dx + to);
                   });
    }
  });
}

}  // namespace

void register_concat(ops::ShapeChangeKernels& kernels) {
  kernels.concat_forward.add({"reference", takes_all, forward});
  kernels.concat_backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
