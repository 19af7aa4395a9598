// The passes over a plan's graph: convolution + batch norm + sum + activation become one step.
#include <algorithm>
#include <cmath>

#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/unary.h"
#include "graft/layers/plan/graph.h"

namespace graft::plan {
namespace {

class Fuser {
 public:
  Fuser(Graph& graph, FusedFunctions functions)
      : graph_(graph), functions_(functions), uses_(static_cast<size_t>(graph.values)) {
    for (const Step& step : graph.steps)
      for (const Value v : step.inputs)
        if (v != kNoValue) ++uses_[static_cast<size_t>(v)];
    ++uses_[static_cast<size_t>(graph.output)];
  }

  void operator()() {
    for (size_t i = 0; i < graph_.steps.size(); ++i)
      if (graph_.steps[i].op == ops::ConvAttributes::id) begin(graph_.steps[i]);
    // One consumer at a time is drawn into the convolution before it, until nothing changes.
    while (std::any_of(graph_.steps.begin(), graph_.steps.end(),
                       [&](Step& step) { return absorb(step); }))
      remove_absorbed();
  }

 private:
  void begin(Step& step) {
    const auto& attributes = std::any_cast<const ops::ConvAttributes&>(step.attributes);
    const Value weight = step.inputs[1], bias = step.inputs[2];
    const bool constant =
        graph_.constants.contains(weight) && (bias == kNoValue || graph_.constants.contains(bias));
    if (attributes.window.axes != 2 || !constant) return;
    step.conv = std::make_shared<FusedConv>();
    step.conv->attributes.conv = attributes;
    step.conv->weight = graph_.constants.at(weight);
    if (bias != kNoValue) step.conv->bias = graph_.constants.at(bias);
    step.inputs = {step.inputs[0], kNoValue};
    step.op = ops::FusedConvAttributes::id;
  }

  // The step that computes `value`, when it is a fused convolution whose result goes to nothing
  // else and has no activation yet.
  Step* open_conv(Value value) {
    if (value == kNoValue || uses_[static_cast<size_t>(value)] != 1) return nullptr;
    for (Step& step : graph_.steps)
      if (step.output == value)
        return step.conv && step.conv->attributes.activation == ops::FusedActivation::none
                   ? &step
                   : nullptr;
    return nullptr;
  }

  // True when `step` went into the convolution before it; it then has no output any more.
  bool absorb(Step& step) {
    if (step.op == ops::BatchNormAttributes::id) return absorb_norm(step);
    if (step.op == ops::BinaryAttributes::id) return absorb_sum(step);
    if (step.op == ops::UnaryAttributes::id) return absorb_activation(step);
    return false;
  }

  bool absorb_norm(Step& step) {
    const auto& attributes = std::any_cast<const ops::BatchNormAttributes&>(step.attributes);
    Step* conv = open_conv(step.inputs[0]);
    if (attributes.training || !conv || conv->inputs[1] != kNoValue) return false;
    for (const size_t i : {1, 2, 4, 5})
      if (step.inputs[i] != kNoValue && !graph_.constants.contains(step.inputs[i])) return false;
    if (step.inputs[3] != kNoValue && !computed_before(step.inputs[3], *conv))
      move_behind(step.inputs[3], conv);
    fold(*conv->conv, step, attributes.eps);
    conv->inputs[1] = step.inputs[3];
    if (attributes.relu) conv->conv->attributes.activation = ops::FusedActivation::relu;
    return take_over(*conv, step);
  }

  // weight' = weight * scale, bias' = (bias - mean) * scale + beta with scale = gamma /
  // sqrt(variance + eps), in double.
  void fold(FusedConv& conv, const Step& norm, double eps) const {
    const auto numbers = [&](size_t input, double otherwise) {
      if (norm.inputs[input] == kNoValue)
        return std::vector<double>(static_cast<size_t>(conv.weight.size(0)), otherwise);
      return graph_.constants.at(norm.inputs[input]).to_doubles();
    };
    const std::vector<double> gamma = numbers(1, 1), beta = numbers(2, 0), mean = numbers(4, 0),
                              variance = numbers(5, 1);
    const Device device = conv.weight.device();
    const MemoryFormat format = conv.weight.format();
    const Tensor before = to_device(conv.weight, {}).to(MemoryFormat::contiguous);
    std::vector<double> bias =
        conv.bias.defined() ? conv.bias.to_doubles() : std::vector<double>(gamma.size(), 0.0);
    Tensor weight = Tensor::empty(before.shape());
    const float* in = before.data<float>();
    float* out = weight.mutable_data<float>();
    const int64_t filters = std::ssize(gamma), each = before.numel() / filters,
                  parts = std::min<int64_t>(filters, 16);
    current_context().parallel_for(parts, [&](int64_t part) {
      for (int64_t k = part * filters / parts; k < (part + 1) * filters / parts; ++k) {
        const double scale =
            gamma[static_cast<size_t>(k)] / std::sqrt(variance[static_cast<size_t>(k)] + eps);
        for (int64_t i = k * each; i < (k + 1) * each; ++i)
          out[i] = static_cast<float>(in[i] * scale);
      }
    });
    for (size_t k = 0; k < gamma.size(); ++k)
      bias[k] = (bias[k] - mean[k]) * (gamma[k] / std::sqrt(variance[k] + eps)) + beta[k];
    conv.weight = is_cpu(device) ? weight : to_device(weight.to(format), device);
    conv.bias = to_device(Tensor::of({static_cast<int64_t>(bias.size())},
                                     std::vector<float>(bias.begin(), bias.end())),
                          device);
  }

  bool absorb_sum(Step& step) {
    const auto& attributes = std::any_cast<const ops::BinaryAttributes&>(step.attributes);
    if (attributes.function != ops::Binary::add || graph_.constants.contains(step.inputs[0]) ||
        graph_.constants.contains(step.inputs[1]))
      return false;
    for (const size_t i : {0, 1}) {
      Step* conv = open_conv(step.inputs[i]);
      const Value other = step.inputs[1 - i];
      if (!conv || conv->inputs[1] != kNoValue || other == step.inputs[i] ||
          !computed_before(other, *conv))
        continue;
      conv->inputs[1] = other;
      return take_over(*conv, step);
    }
    return false;
  }

  bool absorb_activation(Step& step) {
    const auto& function = std::any_cast<const ops::UnaryAttributes&>(step.attributes);
    const ops::FusedActivation activation = fused_activation(function);
    Step* conv = open_conv(step.inputs[0]);
    if (!conv || activation == ops::FusedActivation::none) return false;
    if (activation == ops::FusedActivation::function &&
        (functions_ == FusedFunctions::no || !is_cpu(conv->conv->weight.device())))
      return false;
    conv->conv->attributes.activation = activation;
    conv->conv->attributes.function = function;
    return take_over(*conv, step);
  }

  // ONNX writes ReLU6 as Clip.
  static ops::FusedActivation fused_activation(const ops::UnaryAttributes& attributes) {
    switch (attributes.function) {
      case ops::Unary::relu: return ops::FusedActivation::relu;
      case ops::Unary::relu6: return ops::FusedActivation::relu6;
      case ops::Unary::clip:
        return attributes.alpha == 0 && attributes.beta == 6 ? ops::FusedActivation::relu6
                                                             : ops::FusedActivation::function;
      case ops::Unary::sigmoid:
      case ops::Unary::tanh:
      case ops::Unary::leaky_relu:
      case ops::Unary::elu:
      case ops::Unary::hard_sigmoid:
      case ops::Unary::hard_swish:
      case ops::Unary::gelu:
      case ops::Unary::gelu_tanh:
      case ops::Unary::silu: return ops::FusedActivation::function;
      default: return ops::FusedActivation::none;
    }
  }

  bool computed_before(Value value, const Step& step) const {
    if (value == graph_.input) return true;
    for (const Step& other : graph_.steps) {
      if (&other == &step) return false;
      if (other.output == value) return true;
    }
    return false;
  }

  // The residual of a norm is computed after its convolution (a projection written behind the main
  // path): the convolution moves behind it, which nothing minds, since only the norm reads it.
  // `conv` follows.
  void move_behind(Value value, Step*& conv) {
    const auto from = graph_.steps.begin() + (conv - graph_.steps.data());
    const auto to = std::find_if(from, graph_.steps.end(),
                                 [&](const Step& step) { return step.output == value; });
    std::rotate(from, from + 1, to + 1);
    conv = &*to;
  }

  bool take_over(Step& conv, Step& step) {
    conv.output = step.output;
    step.output = kNoValue;
    return true;
  }
  void remove_absorbed() {
    std::erase_if(graph_.steps, [](const Step& step) { return step.output == kNoValue; });
  }

  Graph& graph_;
  FusedFunctions functions_;
  std::vector<int> uses_;
};

}  // namespace

void fuse_convolutions(Graph& graph, FusedFunctions functions) { Fuser{graph, functions}(); }

}  // namespace graft::plan
