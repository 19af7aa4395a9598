// Convolution's three passes by the instructions of sm_90a, for 16-bit images whose channels come
// in groups of eight: the copy engine unfolds the window into shared memory (im2col), warpgroups
// multiply there. Behind: tensor_conv.cu, which does the rest.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/tensor_conv.h"
#include "graft/kernels/cuda/custom/tensor_outputs.h"
#include "graft/kernels/cuda/custom/warpgroup_passes.h"
#include "graft/kernels/cuda/device/join_parts.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/warpgroup_product.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

PixelWindow forward_window(const ConvGeometry& g) {
  return {PixelAxis::of(forward_axis(g.p, g.r, g.stride_h, g.pad_h, g.dilation_h)),
          PixelAxis::of(forward_axis(g.q, g.s, g.stride_w, g.pad_w, g.dilation_w))};
}
// A phase of dx that no tap meets has an empty window; it only wants zeros, and its positions are
// still divided.
struct BackwardPhase {
  PhaseAxis rows, columns;
  PixelWindow window;
  static BackwardPhase of(const ConvGeometry& g, int64_t phase_h, int64_t phase_w) {
    BackwardPhase phase{PhaseAxis::of(g.h, phase_h, g.r, g.stride_h, g.pad_h, g.dilation_h),
                        PhaseAxis::of(g.w, phase_w, g.s, g.stride_w, g.pad_w, g.dilation_w),
                        {}};
    phase.window = {PixelAxis::of(phase.rows.axis), PixelAxis::of(phase.columns.axis)};
    return phase;
  }
  bool is_empty() const { return rows.axis.taps == 0 || columns.axis.taps == 0; }
};
// f(phase, phase_h, phase_w) for all of them, while it gives true.
template <class F>
bool each_phase(const ConvGeometry& g, F&& f) {
  for (int64_t phase_h = 0; phase_h < std::min(g.stride_h, g.h); ++phase_h)
    for (int64_t phase_w = 0; phase_w < std::min(g.stride_w, g.w); ++phase_w)
      if (!f(BackwardPhase::of(g, phase_h, phase_w), phase_h, phase_w)) return false;
  return true;
}
int tile_columns(int64_t n) { return n > 64 ? 128 : 64; }

template <class F>
void visit_half_type(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f(bfloat16{});
  else
    f(float16{});
}
template <class F>
void visit_columns(int columns, F&& f) {
  if (columns == 128)
    f(std::integral_constant<int, 128>{});
  else
    f(std::integral_constant<int, 64>{});
}

// Encodes maps in the driver's form. What a map cannot say was declined.
template <class Map>
gpu::TensorMap encoded(gpu::Device& device, const Map& map) {
  gpu::TensorMap result;
  device.check(device.driver().encode(map, result), "encoding a tensor map");
  return result;
}

template <class T, class Pass>
void launch_warpgroup_product(gpu::Device& device, const gpu::TensorMap& a, const gpu::TensorMap& b,
                              const Pass& pass, const TensorTiles& tiles) {
  visit_columns(tiles.columns, [&](auto columns) {
    using Body = WarpgroupProduct<T, Pass, columns()>;
    launch<Body>(device, tiles.blocks(), Body::threads, {a, b, pass, tiles}, Body::shared_bytes);
  });
}

// weight [k][tap][c] of the images' type.
gpu::BoxMap weight_map(const ConvGeometry& g, const Tensor& weight, int rows) {
  return {weight.raw(), {g.c, g.r * g.s, g.k}, {kWarpgroupStep, 1, rows}};
}

struct WarpgroupForwardTensors {
  const Tensor &x, &weight;
  const Tensor *bias, *residual;
  Tensor& y;
};
void warpgroup_forward(const ConvGeometry& g, const WarpgroupForwardTensors& tensors,
                       ops::FusedActivation activation) {
  gpu::Device& device = device_of(tensors.x);
  const int chunks = static_cast<int>(ceil_div(g.c, int64_t{kWarpgroupStep})),
            columns = tile_columns(g.k);
  const int64_t steps = g.r * g.s * chunks;
  const PixelWindow window = forward_window(g);
  const gpu::TensorMap pixels =
      encoded(device, window.map(tensors.x.raw(), g.n, g.h, g.w, g.c, TensorTiles::rows));
  const gpu::TensorMap filters = encoded(device, weight_map(g, tensors.weight, columns));
  visit_half_type(tensors.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const TensorForward<T> output{mutable_span<T>(tensors.y), span<float>(tensors.bias),
                                  span<T>(tensors.residual), g.k, activation};
    const PixelsByFilters<TensorForward<T>, false> pass{window, chunks, 0, static_cast<int>(g.s),
                                                        1,      output};
    launch_warpgroup_product<T>(device, pixels, filters, pass,
                                {g.pixels(), g.k, steps, steps, columns});
  });
}

void warpgroup_backward_data(const ConvGeometry& g, const Tensor& dy, const Tensor& weight,
                             Tensor& dx) {
  gpu::Device& device = device_of(dy);
  const int chunks = static_cast<int>(ceil_div(g.k, int64_t{kWarpgroupStep})),
            columns = tile_columns(g.c);
  const gpu::TensorMap filters = encoded(device, weight_map(g, weight, kWarpgroupStep));
  each_phase(g, [&](const BackwardPhase& phase, int64_t phase_h, int64_t phase_w) {
    const ProductAxis &rows = phase.rows.axis, &across = phase.columns.axis;
    const int64_t steps = int64_t{rows.taps} * across.taps * chunks;
    const gpu::TensorMap pixels =
        phase.is_empty() ? filters
                         : encoded(device, phase.window.map(dy.raw(), g.n, g.p, g.q, g.k,
                                                            TensorTiles::rows));  // not read then
    visit_half_type(dy.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const TensorBackwardData<T> output{
          mutable_span<T>(dx), g.h,     g.w,     g.c,        rows.positions,
          across.positions,    phase_h, phase_w, g.stride_h, g.stride_w};
      const PixelsByFilters<TensorBackwardData<T>, true> pass{
          phase.window,
          chunks,
          static_cast<int>(phase.rows.first * g.s + phase.columns.first),
          static_cast<int>(phase.rows.apart * g.s),
          phase.columns.apart,
          output};
      launch_warpgroup_product<T>(device, pixels, filters, pass,
                                  {g.n * rows.positions * across.positions, g.c, steps,
                                   std::max<int64_t>(steps, 1), columns});
    });
    return true;
  });
}

// As many parts as about two blocks for each of a large GPU's multiprocessors have work for; the
// shape alone says it.
TensorTiles warpgroup_weight_tiles(const ConvGeometry& g, int padded, int columns) {
  constexpr int64_t wanted_blocks = 264, shortest = 8;  // steps
  TensorTiles tiles{g.k, g.r * g.s * padded, ceil_div(g.pixels(), int64_t{kWarpgroupStep}), 0,
                    columns};
  const int64_t most = std::max<int64_t>(1, wanted_blocks / (tiles.down() * tiles.across()));
  tiles.part = std::max(shortest, ceil_div(tiles.k, most));
  return tiles;
}

// dweight f32 in any order.
void warpgroup_backward_weight(const ConvGeometry& g, const Tensor& x, const Tensor& dy,
                               Tensor& dweight) {
  gpu::Device& device = device_of(x);
  const int columns = tile_columns(g.c), padded = static_cast<int>(round_up(g.c, int64_t{columns}));
  const TensorTiles tiles = warpgroup_weight_tiles(g, padded, columns);
  const PixelWindow window = forward_window(g);
  const gpu::TensorMap filters = encoded(
      device, gpu::BoxMap{dy.raw(), {g.k, g.pixels(), 1}, {kWarpgroupStep, kWarpgroupStep, 1}});
  const gpu::TensorMap pixels =
      encoded(device, window.map(x.raw(), g.n, g.h, g.w, g.c, kWarpgroupStep));
  Tensor partial = tiles.parts() == 1
                       ? dweight
                       : Tensor::empty({tiles.parts(), dweight.numel()}, {.device = x.device()});
  const FiltersByTaps pass{window, {mutable_span<float>(partial), g, dweight.numel(), padded}};
  visit_half_type(x.dtype(), [&](auto zero) {
    launch_warpgroup_product<decltype(zero)>(device, filters, pixels, pass, tiles);
  });
  if (tiles.parts() > 1)
    launch_map(device, dweight.numel(),
               JoinParts<float>{span<float>(partial), mutable_span<float>(dweight), tiles.parts()});
}

// Why the instructions of sm_90a cannot do what tensor cores can.
const char* declines_warpgroup(const Tensor& x, const Tensor& y, const Tensor* weight,
                               const ops::ConvAttributes& attributes) {
  if (const char* reason = declines_tensor_conv(x, y, weight, attributes)) return reason;
  const gpu::Properties& properties = device_of(x).properties();
  if (!kHasSm90a) return "this build has no code for sm_90a";
  if (properties.major != 9 || properties.minor != 0)
    return "the GPU is not of compute capability 9.0";
  if (x.size(1) % 8 != 0 || y.size(1) % 8 != 0)
    return "channels or filters are no multiple of eight";
  if (!is_aligned(x) || !is_aligned(y)) return "a tensor does not start at 16 bytes";
  return nullptr;
}
const char* declines_window(const PixelWindow& window, int64_t h, int64_t w) {
  return window.rows.fits(h) && window.columns.fits(w)
             ? nullptr
             : "the copy engine's lists of pixels do not reach over the window";
}
ConvGeometry geometry(const Tensor& x, const Tensor& y, const Tensor& weight,
                      const ops::ConvAttributes& attributes) {
  return ConvGeometry::of(x.shape(), y.shape(), weight, attributes);
}

const char* declines_warpgroup_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (const char* reason = declines_parameter(args.bias)) return reason;
  if (const char* reason = declines_warpgroup(args.x, args.y, &args.weight, args.attributes))
    return reason;
  return declines_window(forward_window(geometry(args.x, args.y, args.weight, args.attributes)),
                         args.x.size(2), args.x.size(3));
}
void run_warpgroup_forward(const char* name, const ops::ConvForwardArgs& args,
                           const Tensor* residual, ops::FusedActivation activation) {
  const gpu::OperationName operation(name);
  const Tensor weight = rounded_weight(args.weight, args.x.dtype());
  warpgroup_forward(geometry(args.x, args.y, weight, args.attributes),
                    {args.x, weight, args.bias, residual, args.y}, activation);
}
void run_forward_by_warpgroups(ExecContext&, ops::ConvForwardArgs& args) {
  run_warpgroup_forward("conv forward", args, nullptr, ops::FusedActivation::none);
}

ops::ConvForwardArgs without_fusions(const ops::FusedConvForwardArgs& args) {
  return {args.x, args.weight, args.bias, args.attributes.conv, args.y};
}
const char* declines_warpgroup_fused(const ExecContext& context,
                                     const ops::FusedConvForwardArgs& args) {
  if (args.attributes.activation == ops::FusedActivation::function)
    return "a function other than ReLU and ReLU6";
  if (args.residual && args.residual->format() != args.y.format())
    return "memory order of the residual is another";
  if (!is_aligned(args.residual)) return "a tensor does not start at 16 bytes";
  return declines_warpgroup_forward(context, without_fusions(args));
}
void run_fused_by_warpgroups(ExecContext&, ops::FusedConvForwardArgs& args) {
  run_warpgroup_forward("fused_conv forward", without_fusions(args), args.residual,
                        args.attributes.activation);
}

const char* declines_warpgroup_backward_data(const ExecContext&,
                                             const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines_warpgroup(args.dx, args.dy, &args.weight, args.attributes))
    return reason;
  const ConvGeometry g = geometry(args.dx, args.dy, args.weight, args.attributes);
  const char* reason = nullptr;
  each_phase(g, [&](const BackwardPhase& phase, int64_t, int64_t) {
    return phase.is_empty() || !(reason = declines_window(phase.window, g.p, g.q));
  });
  return reason;
}
void run_backward_data_by_warpgroups(ExecContext&, ops::ConvBackwardDataArgs& args) {
  const gpu::OperationName operation("conv backward-data");
  const Tensor weight = rounded_weight(args.weight, args.dy.dtype());
  warpgroup_backward_data(geometry(args.dx, args.dy, weight, args.attributes), args.dy, weight,
                          args.dx);
}

const char* declines_warpgroup_backward_weight(const ExecContext&,
                                               const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  if (const char* reason = declines_parameter(args.dbias)) return reason;
  if (const char* reason = declines_warpgroup(args.x, args.dy, args.dweight, args.attributes))
    return reason;
  return declines_window(forward_window(geometry(args.x, args.dy, *args.dweight, args.attributes)),
                         args.x.size(2), args.x.size(3));
}
void run_backward_weight_by_warpgroups(ExecContext&, ops::ConvBackwardWeightArgs& args) {
  const gpu::OperationName operation("conv backward-weight");
  warpgroup_backward_weight(geometry(args.x, args.dy, *args.dweight, args.attributes), args.x,
                            args.dy, *args.dweight);
  if (args.dbias) conv_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_wgmma_conv(KernelSet& set) {
  set.conv.forward.add({"cuda_wgmma", declines_warpgroup_forward, run_forward_by_warpgroups});
  set.conv.backward_data.add(
      {"cuda_wgmma", declines_warpgroup_backward_data, run_backward_data_by_warpgroups});
  set.conv.backward_weight.add(
      {"cuda_wgmma", declines_warpgroup_backward_weight, run_backward_weight_by_warpgroups});
  set.fused_conv.forward.add({"cuda_wgmma", declines_warpgroup_fused, run_fused_by_warpgroups});
}

}  // namespace graft::cuda
