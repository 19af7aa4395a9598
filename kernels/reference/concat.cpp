// Concatenation along one axis, and its inverse.
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

void forward(ExecContext&, ops::ConcatForwardArgs& args) {
  const Index sy = element_strides(args.y);
  const int rank = args.y.rank();
  const auto axis = static_cast<size_t>(args.axis);
  visit_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* y = args.y.mutable_data<T>();
    int64_t base = 0;
    for (const Tensor& input : args.inputs) {
      const T* x = input.data<T>();
      const Index sx = element_strides(input);
      for_each_index(input.shape(), [&](const Index& i) { y[offset_of(i, sy, rank) + base * sy[axis]] = x[offset_of(i, sx, rank)]; });
      base += input.shape()[args.axis];
    }
  });
}

void backward(ExecContext&, ops::ConcatBackwardArgs& args) {
  const Index sy = element_strides(args.dy);
  const int rank = args.dy.rank();
  const auto axis = static_cast<size_t>(args.axis);
  visit_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* dy = args.dy.data<T>();
    int64_t base = 0;
    for (size_t k = 0; k < args.dinputs.size(); base += args.extents[k], ++k) {
      Tensor& dinput = args.dinputs[k];
      if (!dinput.defined()) continue;
      T* dx = dinput.mutable_data<T>();
      const Index sx = element_strides(dinput);
      for_each_index(dinput.shape(), [&](const Index& i) { dx[offset_of(i, sx, rank)] = dy[offset_of(i, sy, rank) + base * sy[axis]]; });
    }
  });
}

}  // namespace

void register_concat(KernelSet& set) {
  set.shape_change.concat_forward.add({"reference", takes_all, forward});
  set.shape_change.concat_backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
