// The kernels named "cpu_reordered": convolution of contiguous images, by way of copies whose
// channels lie last, which the engine's kernels want. The result has the images' own order again.
#include <algorithm>
#include <string_view>

#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"

namespace graft::cpu {
namespace {

// The reference takes about a nanosecond for a multiply-add, copying about one for an element.
constexpr int64_t kWorthIt = 4;

const char* declines_order(const Tensor& in, const Tensor& out, const Tensor& weight,
                           const Tensor& y) {
  if (in.rank() != 4) return "only two spatial axes";
  if (in.dtype() != DType::f32 && in.dtype() != DType::f64 && in.dtype() != DType::bf16)
    return "only f32, f64 and bf16";
  if (in.format() != MemoryFormat::contiguous || out.format() != MemoryFormat::contiguous)
    return "memory order is not contiguous";
  const int64_t for_each_output = weight.numel() / std::max<int64_t>(weight.size(0), 1);
  if (y.numel() * for_each_output < kWorthIt * (in.numel() + out.numel()))
    return "less work than the copies";
  return nullptr;
}

Tensor channels_last(const Tensor& t) { return t.to(MemoryFormat::channels_last); }
Tensor channels_last_like(const Tensor& t) {
  TensorOptions options = t.options();
  options.format = MemoryFormat::channels_last;
  return Tensor::empty(t.shape(), options);
}

// False: none but the reference takes these arguments, which needs no copies.
template <class Args>
bool run_engine(ExecContext& context, const KernelList<Args>& list, Args args) {
  for (const Kernel<Args>& kernel : list.candidates()) {
    if (kernel.name == std::string_view("reference") || kernel.declines(context, args)) continue;
    kernel.run(context, args);
    return true;
  }
  return false;
}
template <class Args>
void run_reference(ExecContext& context, const KernelList<Args>& list, Args& args) {
  list.candidates().back().run(context, args);
}

const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  return declines_order(args.x, args.y, args.weight, args.y);
}
void forward(ExecContext& context, ops::ConvForwardArgs& args) {
  const auto& list = kernels_for<ops::ConvKernels>(args.y).forward;
  Tensor y = channels_last_like(args.y);
  if (run_engine(context, list,
                 {channels_last(args.x), args.weight, args.bias, args.attributes, y}))
    args.y.copy_from(y);
  else
    run_reference(context, list, args);
}

const char* declines_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  return declines_order(args.dy, args.dx, args.weight, args.dy);
}
void backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  const auto& list = kernels_for<ops::ConvKernels>(args.dx).backward_data;
  Tensor dx = channels_last_like(args.dx);
  if (run_engine(context, list, {channels_last(args.dy), args.weight, args.attributes, dx}))
    args.dx.copy_from(dx);
  else
    run_reference(context, list, args);
}

const char* declines_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "only the bias' gradient";
  return declines_order(args.x, args.dy, *args.dweight, args.dy);
}
void backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  const auto& list = kernels_for<ops::ConvKernels>(args.dy).backward_weight;
  if (!run_engine(context, list,
                  {channels_last(args.x), channels_last(args.dy), args.attributes, args.dweight,
                   args.dbias}))
    run_reference(context, list, args);
}

const char* declines_fused(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  if (args.residual && args.residual->format() != MemoryFormat::contiguous)
    return "the residual's memory order is not contiguous";
  return declines_order(args.x, args.y, args.weight, args.y);
}
void fused_forward(ExecContext& context, ops::FusedConvForwardArgs& args) {
  const auto& list = kernels_for<ops::FusedConvKernels>(args.y).forward;
  Tensor y = channels_last_like(args.y), residual;
  if (args.residual) residual = channels_last(*args.residual);
  if (run_engine(context, list,
                 {channels_last(args.x), args.weight, args.packed, args.bias,
                  args.residual ? &residual : nullptr, args.attributes, y}))
    args.y.copy_from(y);
  else
    run_reference(context, list, args);
}

}  // namespace

void register_reordered(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv) {
  conv.forward.add({"cpu_reordered", declines_forward, forward});
  conv.backward_data.add({"cpu_reordered", declines_data, backward_data});
  conv.backward_weight.add({"cpu_reordered", declines_weight, backward_weight});
  fused_conv.forward.add({"cpu_reordered", declines_fused, fused_forward});
}

}  // namespace graft::cpu
