// Convolution's three passes as implicit matrix products: images are read through the window,
// nothing is unfolded in memory.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/device/join_parts.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/product.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// y [pixels, K/groups] = x under the window [pixels, taps] * weight [taps, K/groups], for each
// group.
template <class T>
struct ConvForward {
  static constexpr const char* name = "conv forward";
  Span<const T> x;
  Span<const float> weight, bias;
  Span<const T> residual;
  Span<T> y;
  ConvGeometry shape;
  ops::FusedActivation activation;
  GRAFT_HD float a(int64_t g, int64_t m, int64_t t) const {
    const int64_t at = shape.x_at(g, m, shape.tap(t));
    return at < 0 ? 0.f : to_float(x.load(at));
  }
  GRAFT_HD float b(int64_t g, int64_t t, int64_t filter) const {
    return weight.load(shape.weight_at(g * shape.group_k() + filter, shape.tap(t)));
  }
  GRAFT_HD void store(int64_t g, int64_t, int64_t m, int64_t filter, float value) const {
    const int64_t at = shape.y_at(g, m, filter);
    if (bias) value += bias.load(g * shape.group_k() + filter);
    if (residual) value += to_float(residual.load(at));
    if (activation != ops::FusedActivation::none && value < 0) value = 0;
    if (activation == ops::FusedActivation::relu6 && value > 6) value = 6;
    y.store(at, from_float<T>(value));
  }
};

// dx [input pixels, C/groups] = dy gathered [input pixels, (r, s, K/groups)] * weight.
template <class T>
struct ConvBackwardData {
  static constexpr const char* name = "conv backward-data";
  Span<const T> dy;
  Span<const float> weight;
  Span<T> dx;
  ConvGeometry shape;
  GRAFT_HD float a(int64_t g, int64_t i, int64_t step) const {
    const int64_t position = step / shape.group_k();
    const int64_t m = shape.pixel_under(i, position / shape.s, position % shape.s);
    return m < 0 ? 0.f : to_float(dy.load(shape.y_at(g, m, step % shape.group_k())));
  }
  GRAFT_HD float b(int64_t g, int64_t step, int64_t c) const {
    const int64_t position = step / shape.group_k();
    return weight.load(shape.weight_at(g * shape.group_k() + step % shape.group_k(),
                                       {position / shape.s, position % shape.s, c}));
  }
  GRAFT_HD void store(int64_t g, int64_t, int64_t i, int64_t c, float value) const {
    dx.store(i * shape.c + g * shape.group_c() + c, from_float<T>(value));
  }
};

// dweight [K/groups, taps] = dy transposed [K/groups, pixels] * x under the window [pixels, taps];
// pixels are cut into parts.
template <class T>
struct ConvBackwardWeight {
  static constexpr const char* name = "conv backward-weight";
  Span<const T> x, dy;
  Span<float> partial;  // [parts][elements of the weight, in its memory order]
  ConvGeometry shape;
  int64_t weight_size;
  GRAFT_HD float a(int64_t g, int64_t filter, int64_t m) const {
    return to_float(dy.load(shape.y_at(g, m, filter)));
  }
  GRAFT_HD float b(int64_t g, int64_t m, int64_t t) const {
    const int64_t at = shape.x_at(g, m, shape.tap(t));
    return at < 0 ? 0.f : to_float(x.load(at));
  }
  GRAFT_HD void store(int64_t g, int64_t part, int64_t filter, int64_t t, float value) const {
    partial.store(part * weight_size + shape.weight_at(g * shape.group_k() + filter, shape.tap(t)),
                  value);
  }
};

const char* declines_conv(const Tensor& x, const Tensor& y) {
  if (const char* reason = declines_image(x)) return reason;
  return y.format() == x.format() ? nullptr : "memory order is not channels_last";
}

const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (const char* reason = declines_parameter(&args.weight)) return reason;
  if (const char* reason = declines_parameter(args.bias)) return reason;
  return declines_conv(args.x, args.y);
}

void run_forward(const ops::ConvForwardArgs& args, const Tensor* residual,
                 ops::FusedActivation activation) {
  const ConvGeometry g =
      ConvGeometry::of(args.x.shape(), args.y.shape(), args.weight, args.attributes);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_product(device_of(args.x), {g.pixels(), g.group_k(), g.taps(), g.groups, g.taps()},
                   ConvForward<T>{span<T>(args.x), span<float>(args.weight), span<float>(args.bias),
                                  span<T>(residual), mutable_span<T>(args.y), g, activation});
  });
}

void forward(ExecContext&, ops::ConvForwardArgs& args) {
  run_forward(args, nullptr, ops::FusedActivation::none);
}

ops::ConvForwardArgs plain(const ops::FusedConvForwardArgs& args) {
  return {args.x, args.weight, args.bias, args.attributes.conv, args.y};
}

const char* declines_fused(const ExecContext& context, const ops::FusedConvForwardArgs& args) {
  if (args.attributes.activation == ops::FusedActivation::function)
    return "a function other than ReLU and ReLU6";
  if (args.residual && args.residual->format() != args.y.format())
    return "memory order of the residual is another";
  return declines_forward(context, plain(args));
}

void fused_forward(ExecContext&, ops::FusedConvForwardArgs& args) {
  run_forward(plain(args), args.residual, args.attributes.activation);
}

void pack(ExecContext&, ops::FusedConvPackArgs& args) { args.packed = nullptr; }

const char* declines_backward_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines_parameter(&args.weight)) return reason;
  return declines_conv(args.dx, args.dy);
}

void backward_data(ExecContext&, ops::ConvBackwardDataArgs& args) {
  const ConvGeometry g =
      ConvGeometry::of(args.dx.shape(), args.dy.shape(), args.weight, args.attributes);
  const int64_t steps = g.r * g.s * g.group_k();
  visit_kernel_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_product(device_of(args.dx), {g.n * g.h * g.w, g.group_c(), steps, g.groups, steps},
                   ConvBackwardData<T>{span<T>(args.dy), span<float>(args.weight),
                                       mutable_span<T>(args.dx), g});
  });
}

const char* declines_backward_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  for (const Tensor* parameter : {args.dweight, args.dbias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  return declines_conv(args.x, args.dy);
}

template <class T>
void weight_gradient(const ops::ConvBackwardWeightArgs& args) {
  gpu::Device& device = device_of(args.x);
  Tensor& dweight = *args.dweight;
  const ConvGeometry g =
      ConvGeometry::of(args.x.shape(), args.dy.shape(), dweight, args.attributes);
  constexpr int64_t shortest = 512, most_parts = 64;
  const ProductTiles tiles{g.group_k(), g.taps(), g.pixels(), g.groups,
                           std::max(shortest, ceil_div(g.pixels(), most_parts))};
  Tensor partial = Tensor::empty({tiles.parts(), dweight.numel()}, {.device = args.x.device()});
  launch_product(device, tiles,
                 ConvBackwardWeight<T>{span<T>(args.x), span<T>(args.dy),
                                       mutable_span<float>(partial), g, dweight.numel()});
  launch_map(device, dweight.numel(),
             JoinParts<float>{span<float>(partial), mutable_span<float>(dweight), tiles.parts()});
}

void backward_weight(ExecContext&, ops::ConvBackwardWeightArgs& args) {
  const gpu::OperationName name("conv backward-weight");
  visit_kernel_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (args.dweight) weight_gradient<T>(args);
  });
  if (args.dbias) conv_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_conv(KernelSet& set) {
  set.conv.forward.add({"cuda_direct", declines_forward, forward});
  set.conv.backward_data.add({"cuda_direct", declines_backward_data, backward_data});
  set.conv.backward_weight.add({"cuda_direct", declines_backward_weight, backward_weight});
  set.fused_conv.pack.add({"cuda", takes_all, pack});
  set.fused_conv.forward.add({"cuda_direct", declines_fused, fused_forward});
}

}  // namespace graft::cuda
