// The obvious loops: any rank, any floating dtype, either layout. The oracle for every faster
// implementation.
#include "channel_scale.h"
#include "graft/kernels/reference/access.h"

namespace graft::reference {
namespace {

void forward(ExecContext&, ops::ChannelScaleForwardArgs& args) {
  visit_floating(args.x.dtype(), "channel_scale", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *scale = args.scale.data<T>();
    T* y = args.y.mutable_data<T>();
    const Index strides = element_strides(args.x);
    for_each_index(args.x.shape(), [&](const Index& at) {
      const int64_t i = offset_of(at, strides, args.x.rank());
      y[i] = convert<T>(convert<A>(x[i]) * convert<A>(scale[at[1]]));
    });
  });
}

void backward(ExecContext&, ops::ChannelScaleBackwardArgs& args) {
  visit_floating(args.x.dtype(), "channel_scale backward", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *scale = args.scale.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.defined() ? args.dx.mutable_data<T>() : nullptr;
    std::vector<A> sums(static_cast<size_t>(args.scale.numel()), A(0));
    const Index strides = element_strides(args.x);
    for_each_index(args.x.shape(), [&](const Index& at) {
      const int64_t i = offset_of(at, strides, args.x.rank());
      if (dx) dx[i] = convert<T>(convert<A>(dy[i]) * convert<A>(scale[at[1]]));
      sums[static_cast<size_t>(at[1])] += convert<A>(dy[i]) * convert<A>(x[i]);
    });
    if (!args.dscale.defined()) return;
    T* dscale = args.dscale.mutable_data<T>();
    for (size_t c = 0; c < sums.size(); ++c) dscale[c] = convert<T>(sums[c]);
  });
}

}  // namespace

void register_channel_scale(ops::ChannelScaleKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
