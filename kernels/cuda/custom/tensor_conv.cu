// Convolution's three passes and linear layers on tensor cores, for 16-bit images: implicit
// products, summed in float32. A linear layer is a convolution of images of one pixel. Parameters
// stay in float32; a convolution reads its weight's 16-bit copy.
#include "graft/core/tensor/rounded_copy.h"
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/tensor_conv.h"
#include "graft/kernels/cuda/custom/tensor_operands.h"
#include "graft/kernels/cuda/custom/tensor_outputs.h"
#include "graft/kernels/cuda/device/join_parts.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/tensor_product.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// One part of dweight [K, taps], in the weight's memory order.
struct TensorBackwardWeight {
  static constexpr const char* name = "tensor-core backward-weight";
  Span<float> partial;  // [parts][elements of the weight]
  ConvGeometry shape;
  bool in_order;  // the weight's memory order is that of taps
  int64_t weight_size;
  template <int N>
  GRAFT_HD void store(int part, int64_t filter, int64_t tap, const float (&v)[N]) const {
    const int64_t first = part * weight_size;
    if (N == 8 && in_order) {
      GRAFT_UNROLL
      for (int j = 0; j + 3 < N; j += 4)
        partial.template store_group<4>(first + filter * shape.weight_k + tap + j,
                                        {{v[j], v[j + 1], v[j + 2], v[j + 3]}});
      return;
    }
    GRAFT_UNROLL
    for (int j = 0; j < N; ++j)
      partial.store(first + shape.weight_at(filter, shape.tap(tap + j)), v[j]);
  }
};

WindowMap map_of(const ProductAxis& rows, const ProductAxis& columns, int64_t h, int64_t w,
                 int64_t c) {
  return {rows, columns, static_cast<int>(h), static_cast<int>(w), static_cast<int>(c)};
}
WindowMap forward_map(const ConvGeometry& g) {
  return map_of(forward_axis(g.p, g.r, g.stride_h, g.pad_h, g.dilation_h),
                forward_axis(g.q, g.s, g.stride_w, g.pad_w, g.dilation_w), g.h, g.w, g.c);
}
int columns_for(int64_t n, bool grouped) { return grouped && n > 64 ? 128 : 64; }

// Calls f with whether groups of eight fit everything: channels, filters, and where tensors start.
template <class F>
void visit_grouped(const ConvGeometry& g, std::initializer_list<const Tensor*> tensors, F&& f) {
  bool grouped = g.c % 8 == 0 && g.k % 8 == 0;
  for (const Tensor* tensor : tensors) grouped = grouped && is_aligned(tensor);
  if (grouped)
    f(std::true_type{});
  else
    f(std::false_type{});
}
template <class F>
void visit_16_bits(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f(bfloat16{});
  else
    f(float16{});
}

// x [n,h,w,c], weight [k][r][s][c] of the same type, bias f32.
struct ForwardTensors {
  const Tensor &x, &weight;
  const Tensor *bias, *residual;
  Tensor& y;
};
void product_forward(const ConvGeometry& g, const ForwardTensors& tensors,
                     ops::FusedActivation activation) {
  visit_16_bits(tensors.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_grouped(
        g, {&tensors.x, &tensors.weight, tensors.residual, &tensors.y}, [&](auto grouped) {
          const int taps = static_cast<int>(g.taps());
          const PixelsByTaps<T> a{span<T>(tensors.x), forward_map(g)};
          const StridedMatrix<T, true> b{span<T>(tensors.weight), 0, taps, 0, 0, 1, 1, taps};
          launch_tensor_product<T, grouped()>(
              device_of(tensors.x), {g.pixels(), g.k, taps, taps, columns_for(g.k, grouped())}, a,
              b,
              TensorForward<T>{mutable_span<T>(tensors.y), span<float>(tensors.bias),
                               span<T>(tensors.residual), g.k, activation});
        });
  });
}

// One launch for each phase of dx: pixels that look at dy through the same taps.
void product_backward_data(const ConvGeometry& g, const Tensor& dy, const Tensor& weight,
                           Tensor& dx) {
  visit_16_bits(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_grouped(g, {&dy, &weight, &dx}, [&](auto grouped) {
      for (int64_t phase_h = 0; phase_h < std::min(g.stride_h, g.h); ++phase_h)
        for (int64_t phase_w = 0; phase_w < std::min(g.stride_w, g.w); ++phase_w) {
          const PhaseAxis rows =
              PhaseAxis::of(g.h, phase_h, g.r, g.stride_h, g.pad_h, g.dilation_h);
          const PhaseAxis columns =
              PhaseAxis::of(g.w, phase_w, g.s, g.stride_w, g.pad_w, g.dilation_w);
          WindowMap map = map_of(rows.axis, columns.axis, g.p, g.q, g.k);
          const int64_t steps = map.steps(),
                        pixels = g.n * rows.axis.positions * columns.axis.positions;
          map.columns.taps =
              std::max(map.columns.taps,
                       1);  // without taps nothing is summed, but positions are still divided
          const PixelsByTaps<T> a{span<T>(dy), map};
          const StridedMatrix<T, false> b{span<T>(weight),
                                          (rows.first * g.s + columns.first) * g.c,
                                          1,
                                          rows.apart * g.s * g.c,
                                          columns.apart * g.c,
                                          g.taps(),
                                          map.columns.taps,
                                          map.c};
          const TensorBackwardData<T> output{
              mutable_span<T>(dx),    g.h,     g.w,     g.c,        rows.axis.positions,
              columns.axis.positions, phase_h, phase_w, g.stride_h, g.stride_w};
          launch_tensor_product<T, grouped()>(
              device_of(dy),
              {pixels, g.c, steps, std::max<int64_t>(steps, 1), columns_for(g.c, grouped())}, a, b,
              output);
        }
    });
  });
}

// Pixels are cut into parts, as the shape says, so that about two blocks for each of a large GPU's
// multiprocessors have work.
TensorTiles weight_tiles(const ConvGeometry& g, bool grouped) {
  constexpr int64_t wanted_blocks = 264, shortest = 512;
  TensorTiles tiles{g.k, g.taps(), g.pixels(), g.pixels(), columns_for(g.taps(), grouped)};
  const int64_t most = std::max<int64_t>(1, wanted_blocks / (tiles.down() * tiles.across()));
  tiles.part = round_up(std::max(shortest, ceil_div(g.pixels(), most)), int64_t{32});
  return tiles;
}

// dweight f32, or of the images' type.
void product_backward_weight(const ConvGeometry& g, const Tensor& x, const Tensor& dy,
                             Tensor& dweight) {
  gpu::Device& device = device_of(x);
  visit_16_bits(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_grouped(g, {&x, &dy, &dweight}, [&](auto grouped) {
      const TensorTiles tiles = weight_tiles(g, grouped());
      const bool direct = tiles.parts() == 1 && dweight.dtype() == DType::f32;
      Tensor partial =
          direct ? dweight
                 : Tensor::empty({tiles.parts(), dweight.numel()}, {.device = x.device()});
      const StridedMatrix<T, false> a{span<T>(dy), 0, 1, 0, 0, g.k, 1, static_cast<int>(tiles.k)};
      launch_tensor_product<T, grouped()>(
          device, tiles, a, TapsByPixels<T>{span<T>(x), forward_map(g)},
          TensorBackwardWeight{mutable_span<float>(partial), g, g.weight_c == 1, dweight.numel()});
      if (direct) return;
      if (dweight.dtype() == DType::f32)
        launch_map(
            device, dweight.numel(),
            JoinParts<float>{span<float>(partial), mutable_span<float>(dweight), tiles.parts()});
      else
        launch_map(device, dweight.numel(),
                   JoinParts<T>{span<float>(partial), mutable_span<T>(dweight), tiles.parts()});
    });
  });
}

const char* declines_device(const Tensor& x, const Tensor& y) {
  constexpr int64_t most = int64_t{1}
                           << 30;  // pixels, taps: the index maths inside a tile is 32-bit
  if (x.dtype() != DType::bf16 && x.dtype() != DType::f16)
    return "tensor cores take only bf16 and f16";
  if (x.numel() == 0 || y.numel() == 0) return "no elements";
  for (const Tensor* tensor : {&x, &y})
    if (tensor->numel() / tensor->size(1) > most || tensor->size(1) > most)
      return "more than 2^30 pixels or channels";
  return device_of(x).properties().major >= 8
             ? nullptr
             : "the GPU's tensor cores are older than compute capability 8.0";
}

}  // namespace

const char* declines_tensor_conv(const Tensor& x, const Tensor& y, const Tensor* weight,
                                 const ops::ConvAttributes& attributes) {
  if (const char* reason = declines_image(x)) return reason;
  if (y.format() != x.format()) return "memory order is not channels_last";
  if (attributes.groups != 1) return "it has groups";
  if (const char* reason = declines_parameter(weight)) return reason;
  if (const char* reason = declines_device(x, y)) return reason;
  return weight->numel() / weight->size(0) > int64_t{1} << 30 ? "more than 2^30 taps" : nullptr;
}

// The copy that is kept beside the weight: rounded once a version, by the optimizer's kernel where
// it writes both.
Tensor rounded_weight(const Tensor& weight, DType type) {
  return rounded_copy(weight, type).to(MemoryFormat::channels_last);
}

namespace {

const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (const char* reason = declines_parameter(args.bias)) return reason;
  return declines_tensor_conv(args.x, args.y, &args.weight, args.attributes);
}
void run_forward(const char* name, const ops::ConvForwardArgs& args, const Tensor* residual,
                 ops::FusedActivation activation) {
  const gpu::OperationName operation(name);
  const Tensor weight = rounded_weight(args.weight, args.x.dtype());
  product_forward(ConvGeometry::of(args.x.shape(), args.y.shape(), weight, args.attributes),
                  {args.x, weight, args.bias, residual, args.y}, activation);
}
void forward(ExecContext&, ops::ConvForwardArgs& args) {
  run_forward("conv forward", args, nullptr, ops::FusedActivation::none);
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
  run_forward("fused_conv forward", plain(args), args.residual, args.attributes.activation);
}

const char* declines_backward_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  return declines_tensor_conv(args.dx, args.dy, &args.weight, args.attributes);
}
void backward_data(ExecContext&, ops::ConvBackwardDataArgs& args) {
  const gpu::OperationName operation("conv backward-data");
  const Tensor weight = rounded_weight(args.weight, args.dy.dtype());
  product_backward_data(ConvGeometry::of(args.dx.shape(), args.dy.shape(), weight, args.attributes),
                        args.dy, weight, args.dx);
}

const char* declines_backward_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  if (const char* reason = declines_parameter(args.dbias)) return reason;
  return declines_tensor_conv(args.x, args.dy, args.dweight, args.attributes);
}
void backward_weight(ExecContext&, ops::ConvBackwardWeightArgs& args) {
  const gpu::OperationName operation("conv backward-weight");
  product_backward_weight(
      ConvGeometry::of(args.x.shape(), args.dy.shape(), *args.dweight, args.attributes), args.x,
      args.dy, *args.dweight);
  if (args.dbias) conv_bias_gradient(args.dy, *args.dbias);
}

// A linear layer [rows, in] -> [rows, out] as a convolution.
ConvGeometry linear_geometry(int64_t rows, int64_t in, int64_t out) {
  return {rows, 1, 1, in, 1, 1, out, 1, 1, 1, 1, 0, 0, 1, 1, 1, in, 1, in, in};
}
const char* declines_linear(const Tensor& x, const Tensor& y,
                            std::initializer_list<const Tensor*> parameters) {
  for (const Tensor* parameter : parameters)
    if (parameter && parameter->dtype() != x.dtype()) return "a parameter has another dtype";
  return declines_device(x, y);
}
const char* declines_linear_forward(const ExecContext&, const ops::LinearForwardArgs& args) {
  return declines_linear(args.x, args.y, {&args.weight, args.bias});
}
void linear_forward(ExecContext&, ops::LinearForwardArgs& args) {
  const gpu::OperationName operation("linear forward");
  const Tensor bias = args.bias ? args.bias->to(DType::f32) : Tensor();
  const ConvGeometry g = linear_geometry(args.x.size(0), args.x.size(1), args.y.size(1));
  product_forward(g, {args.x, args.weight, args.bias ? &bias : nullptr, nullptr, args.y},
                  ops::FusedActivation::none);
}
const char* declines_linear_backward_data(const ExecContext&,
                                          const ops::LinearBackwardDataArgs& args) {
  return declines_linear(args.dx, args.dy, {&args.weight});
}
void linear_backward_data(ExecContext&, ops::LinearBackwardDataArgs& args) {
  const gpu::OperationName operation("linear backward-data");
  product_backward_data(linear_geometry(args.dx.size(0), args.dx.size(1), args.dy.size(1)), args.dy,
                        args.weight, args.dx);
}
const char* declines_linear_backward_weight(const ExecContext&,
                                            const ops::LinearBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  return declines_linear(args.x, args.dy, {args.dweight, args.dbias});
}
void linear_backward_weight(ExecContext&, ops::LinearBackwardWeightArgs& args) {
  const gpu::OperationName operation("linear backward-weight");
  product_backward_weight(linear_geometry(args.x.size(0), args.x.size(1), args.dy.size(1)), args.x,
                          args.dy, *args.dweight);
  if (args.dbias) linear_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_tensor_conv(KernelSet& set) {
  set.conv.forward.add({"cuda_tensor", declines_forward, forward});
  set.conv.backward_data.add({"cuda_tensor", declines_backward_data, backward_data});
  set.conv.backward_weight.add({"cuda_tensor", declines_backward_weight, backward_weight});
  set.fused_conv.forward.add({"cuda_tensor", declines_fused, fused_forward});
}
void register_tensor_linear(KernelSet& set) {
  set.linear.forward.add({"cuda_tensor", declines_linear_forward, linear_forward});
  set.linear.backward_data.add(
      {"cuda_tensor", declines_linear_backward_data, linear_backward_data});
  set.linear.backward_weight.add(
      {"cuda_tensor", declines_linear_backward_weight, linear_backward_weight});
}

}  // namespace graft::cuda
