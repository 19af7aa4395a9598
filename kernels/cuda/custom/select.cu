// where: elements of one tensor or the other by a condition, all three broadcast; its gradients are
// sums of dy.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/broadcast.h"
#include "graft/kernels/cuda/custom/partial_sums.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/select.h"

namespace graft::cuda {
namespace {

template <class Bits>
struct Where {
  static constexpr const char* name = "where forward";
  static constexpr int group = 1;
  Span<const bool> condition;
  Span<const Bits> a, b;
  Span<Bits> y;
  Broadcast<3> walk;  // condition, a, b
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Offsets<3> from = walk.offsets(i);
    y.store(i, condition.load(from.at[0]) ? a.load(from.at[1]) : b.load(from.at[2]));
  }
};

// dy where the condition chose this input.
template <class T>
struct WhereGradient {
  static constexpr const char* name = "where backward";
  Span<const bool> condition;
  Span<const T> dy;
  bool chosen;
  StretchedAxes<2> axes;  // dy, condition
  GRAFT_HD float term(int64_t result, int64_t i) const {
    const Offsets<2> base = axes.kept.offsets(result), more = axes.summed.offsets(i);
    return condition.load(base.at[1] + more.at[1]) == chosen
               ? to_float(dy.load(base.at[0] + more.at[0]))
               : 0.f;
  }
};
template <class T>
struct WherePlainGradient {
  static constexpr const char* name = "where backward, plain";
  static constexpr int group = 1;
  WhereGradient<T> from;
  Span<T> to;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    to.store(i, from_float<T>(from.term(i, 0)));
  }
};

const char* declines_forward(const ExecContext&, const ops::WhereForwardArgs& args) {
  const bool together =
      args.condition.device() == args.a.device() && args.a.device() == args.b.device();
  return together ? nullptr : "the inputs are on different devices";
}
void forward(ExecContext&, ops::WhereForwardArgs& args) {
  visit_size(args.y.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    launch_map(device_of(args.y), args.y.numel(),
               Where<Bits>{span<bool>(args.condition), span<Bits>(args.a), span<Bits>(args.b),
                           mutable_span<Bits>(args.y),
                           Broadcast<3>::of({&args.condition, &args.a, &args.b}, args.y)});
  });
}

template <class T>
void gradient(const ops::WhereBackwardArgs& args, bool chosen, Tensor* to) {
  if (!to || to->numel() == 0) return;
  const auto axes = StretchedAxes<2>::of(*to, {&args.dy, &args.condition}, args.dy);
  const WhereGradient<T> f{span<bool>(args.condition), span<T>(args.dy), chosen, axes};
  if (axes.summed.count == 1)
    return launch_map(device_of(*to), to->numel(), WherePlainGradient<T>{f, mutable_span<T>(*to)});
  launch_sums<T>(*to, axes.summed.count, axes.kept.axes > 0 && axes.kept.stride[0][0] == 1, f);
}
const char* declines_backward(const ExecContext&, const ops::WhereBackwardArgs& args) {
  return declines_dtype(args.dy);
}
void backward(ExecContext&, ops::WhereBackwardArgs& args) {
  const gpu::OperationName operation("where backward");
  visit_kernel_dtype(args.dy.dtype(), [&](auto zero) {
    gradient<decltype(zero)>(args, true, args.da);
    gradient<decltype(zero)>(args, false, args.db);
  });
}

}  // namespace

void register_select(KernelSet& set) {
  set.select.where_forward.add({"cuda", declines_forward, forward});
  set.select.where_backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
