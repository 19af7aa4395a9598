// Convolution's three passes, and the fused one of plans, on cuDNN's plans. Parameters stay in
// float32: for 16-bit images the weight is rounded before the pass, and its gradient widened after
// it.
#include <vector>

#include "graft/core/tensor/rounded_copy.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/cudnn/conv_graph.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/declines.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

using cudnn::Binding;
using cudnn::ConvGraph;
using cudnn::ConvPass;
using cudnn::Operand;

// Everything but whether cuDNN has an engine.
const char* declines_tensors(const Tensor& x, const Tensor& y,
                             std::initializer_list<const Tensor*> parameters) {
  if (const char* reason = declines_image(x)) return reason;
  if (y.format() != x.format()) return "memory order is not channels_last";
  if (x.numel() == 0 || y.numel() == 0) return "no elements";
  if (!is_aligned(x) || !is_aligned(y)) return "a tensor does not start at 16 bytes";
  for (const Tensor* parameter : parameters) {
    if (const char* reason = declines_parameter(parameter)) return reason;
    if (!is_aligned(parameter)) return "a parameter does not start at 16 bytes";
  }
  return plans_of(x).available() ? nullptr : "cuDNN is not there (graft doctor says why)";
}

const char* declines_graph(const Tensor& x, const ConvGraph& graph) {
  return plans_of(x).find(graph) ? nullptr : "cuDNN has no engine for it";
}

void run(const Tensor& x, const ConvGraph& graph, const char* name,
         std::span<const Binding> bindings) {
  cudnn::PlanCache& plans = plans_of(x);
  const std::shared_ptr<const cudnn::Plan> plan = plans.find(graph);
  GRAFT_ASSERT(plan);
  plans.run(*plan, name, bindings);
}

void* address(const Tensor& tensor) {
  return const_cast<void*>(tensor.raw());
}  // a binding does not say who is read

Tensor weight_for(const Tensor& weight, DType type) {
  return rounded_copy(weight, type).to(MemoryFormat::channels_last);
}

ConvGraph graph_of(ConvPass pass, const Tensor& image, const Tensor& result, const Shape& weight,
                   const ops::ConvAttributes& attributes) {
  return cudnn::conv_graph(pass, image.dtype(), image.shape(), result.shape(), weight, attributes);
}

ConvGraph forward_graph(const ops::ConvForwardArgs& args) {
  ConvGraph graph =
      graph_of(ConvPass::forward, args.x, args.y, args.weight.shape(), args.attributes);
  graph.bias = args.bias != nullptr;
  return graph;
}
const char* declines_forward(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (const char* reason = declines_tensors(args.x, args.y, {&args.weight, args.bias}))
    return reason;
  return declines_graph(args.x, forward_graph(args));
}

void run_forward(const char* name, const ConvGraph& graph, const ops::ConvForwardArgs& args,
                 const Tensor* residual) {
  const gpu::OperationName operation(name);
  const Tensor weight = weight_for(args.weight, args.x.dtype());
  std::vector<Binding> bindings{{Operand::image, address(args.x)},
                                {Operand::weight, address(weight)},
                                {Operand::result, args.y.mutable_raw()}};
  if (args.bias) bindings.push_back({Operand::bias, address(*args.bias)});
  if (residual) bindings.push_back({Operand::residual, address(*residual)});
  run(args.x, graph, "cuDNN conv forward", bindings);
}
void forward(ExecContext&, ops::ConvForwardArgs& args) {
  run_forward("conv forward", forward_graph(args), args, nullptr);
}

ops::ConvForwardArgs plain(const ops::FusedConvForwardArgs& args) {
  return {args.x, args.weight, args.bias, args.attributes.conv, args.y};
}
ConvGraph fused_graph(const ops::FusedConvForwardArgs& args) {
  ConvGraph graph = forward_graph(plain(args));
  graph.residual = args.residual != nullptr;
  if (args.attributes.activation == ops::FusedActivation::relu)
    graph.activation = cudnn::Activation::relu;
  if (args.attributes.activation == ops::FusedActivation::relu6)
    graph.activation = cudnn::Activation::relu6;
  return graph;
}
const char* declines_fused(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  if (args.attributes.activation == ops::FusedActivation::function)
    return "a function other than ReLU and ReLU6";
  if (args.residual && (args.residual->format() != args.y.format() || !is_aligned(args.residual)))
    return "the residual is laid out otherwise";
  if (const char* reason = declines_tensors(args.x, args.y, {&args.weight, args.bias}))
    return reason;
  return declines_graph(args.x, fused_graph(args));
}
void fused_forward(ExecContext&, ops::FusedConvForwardArgs& args) {
  run_forward("fused_conv forward", fused_graph(args), plain(args), args.residual);
}

ConvGraph data_graph(const ops::ConvBackwardDataArgs& args) {
  return graph_of(ConvPass::backward_data, args.dx, args.dy, args.weight.shape(), args.attributes);
}
const char* declines_backward_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines_tensors(args.dx, args.dy, {&args.weight})) return reason;
  return declines_graph(args.dy, data_graph(args));
}
void backward_data(ExecContext&, ops::ConvBackwardDataArgs& args) {
  const gpu::OperationName operation("conv backward-data");
  const Tensor weight = weight_for(args.weight, args.dy.dtype());
  const Binding bindings[] = {{Operand::image, args.dx.mutable_raw()},
                              {Operand::weight, address(weight)},
                              {Operand::result, address(args.dy)}};
  run(args.dy, data_graph(args), "cuDNN conv backward-data", bindings);
}

// Stored in the images' type: those engines are there at once, the ones that widen are compiled for
// seconds.
ConvGraph weight_graph(const ops::ConvBackwardWeightArgs& args) {
  ConvGraph graph =
      graph_of(ConvPass::backward_weight, args.x, args.dy, args.dweight->shape(), args.attributes);
  graph.gradient = args.x.dtype();
  return graph;
}
const char* declines_backward_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  if (const char* reason = declines_tensors(args.x, args.dy, {args.dweight, args.dbias}))
    return reason;
  return declines_graph(args.x, weight_graph(args));
}
void backward_weight(ExecContext&, ops::ConvBackwardWeightArgs& args) {
  const gpu::OperationName operation("conv backward-weight");
  const ConvGraph graph = weight_graph(args);
  Tensor& dweight = *args.dweight;
  const bool last = dweight.format() == MemoryFormat::channels_last,
             widen = graph.gradient != DType::f32;
  DeviceBackend& device = device_backend(dweight.device());
  const auto temporary = [&](DType dtype) {
    return Tensor::empty(
        dweight.shape(),
        {.dtype = dtype, .format = MemoryFormat::channels_last, .device = dweight.device()});
  };
  Tensor stored = last && !widen ? dweight : temporary(graph.gradient);
  const Binding bindings[] = {{Operand::image, address(args.x)},
                              {Operand::weight, stored.mutable_raw()},
                              {Operand::result, address(args.dy)}};
  run(args.x, graph, "cuDNN conv backward-weight", bindings);
  if (widen) {
    Tensor wide = last ? dweight : temporary(DType::f32);
    device.cast(stored, wide);
    stored = wide;
  }
  if (!last) device.reformat(stored, dweight);
  if (args.dbias) conv_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_cudnn_conv(KernelSet& set) {
  set.conv.forward.add({"cudnn", declines_forward, forward});
  set.conv.backward_data.add({"cudnn", declines_backward_data, backward_data});
  set.conv.backward_weight.add({"cudnn", declines_backward_weight, backward_weight});
  set.fused_conv.forward.add({"cudnn", declines_fused, fused_forward});
}

}  // namespace graft::cuda
