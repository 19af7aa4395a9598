// The fused convolution by its definition: the reference convolution, then one loop.
#include "graft/kernels/ops/fused_conv.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

void pack(ExecContext&, ops::FusedConvPackArgs& args) { args.packed = nullptr; }

void forward(ExecContext& context, ops::FusedConvForwardArgs& args) {
  conv_forward(context, {args.x, args.weight, args.bias, args.attributes.conv, args.y});
  const bool is_function = args.attributes.activation == ops::FusedActivation::function;
  const bool is_bounded = args.attributes.activation != ops::FusedActivation::none && !is_function;
  visit_floating(args.y.dtype(), "fused_conv", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* residual = args.residual ? args.residual->data<T>() : nullptr;
    T* y = args.y.mutable_data<T>();
    for (int64_t i = 0; i < args.y.numel(); ++i) {
      A value = convert<A>(y[i]);
      if (residual) value += convert<A>(residual[i]);
      if (is_bounded && value < A(0)) value = A(0);
      if (args.attributes.activation == ops::FusedActivation::relu6 && value > A(6)) value = A(6);
      y[i] = convert<T>(value);
    }
  });
  if (is_function) {
    const Tensor sums = args.y.clone();
    unary_forward(context, {sums, args.attributes.function, args.y});
  }
}

}  // namespace

void register_fused_conv(ops::FusedConvKernels& kernels) {
  kernels.pack.add({"reference", takes_all, pack});
  kernels.forward.add({"reference", takes_all, forward});
}

}  // namespace graft::reference
