#include "graft/tests/kernels/cuda/conv_layers.h"

#include <algorithm>
#include <sstream>

#include "graft/core/autograd/record.h"
#include "graft/core/autograd/trace.h"
#include "graft/core/runtime/kernel_skip.h"
#include "graft/kernels/cuda/cudnn/conv_graph.h"
#include "graft/layers/modules/default_values.h"
#include "graft/layers/plan/plan.h"
#include "graft/models/architecture.h"

namespace graft::test {
namespace {

using cudnn::ConvGraph;
using cudnn::ConvPass;

Trace trace_shapes(Module& network, const Tensor& image) {
  const auto everything = [](const Tensor&) { return true; };
  const ScopedKernelSkip skip(everything);
  Trace trace;
  const ScopedTrace tracing(trace);
  network.forward(image);
  return trace;
}

}  // namespace

std::vector<ConvLayer> conv_layers(const std::string& network, int64_t batch, DType type) {
  const ScopedUnsetValues unset;  // shapes are all that counts
  const std::shared_ptr<StagedNetwork> module =
      models::make_network(models::architecture_named(network));
  module->train(false);
  const NoGradGuard no_gradients;
  const Shape image{3, 224, 224};
  const Trace trace = trace_shapes(
      *module, Tensor::empty({1, 3, 224, 224}, {.format = MemoryFormat::channels_last}));
  std::string reason;
  const auto plan = Plan::compile([&](const Tensor& x) { return module->forward(x); }, image,
                                  &reason, {.tracing = PlanOptions::Tracing::shapes});
  GRAFT_CHECK(plan, network, ": ", reason);
  std::vector<std::string>
      fused;  // what the plan says of its convolutions, which stand in the trace's order
  std::istringstream lines(plan->describe());
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("fused_conv")) fused.push_back(line);

  std::vector<ConvLayer> layers;
  size_t index = 0;
  for (const TraceStep& step : trace.steps) {
    if (step.op != ops::ConvAttributes::id) continue;
    GRAFT_CHECK(index < fused.size(), network,
                ": the plan has fewer convolutions than the network");
    const std::string& line = fused[index];
    const Tensor& weight = step.inputs[1];
    GRAFT_CHECK(line.find(weight.shape().to_string()) != std::string::npos, network, ": ", line,
                " is not ", weight.shape());
    ConvLayer layer;
    layer.forward =
        cudnn::conv_graph(ConvPass::forward, type, step.inputs[0].shape(), step.outputs[0].shape(),
                          weight.shape(), step.as<ops::ConvAttributes>());
    layer.forward.n = batch;
    layer.first = index++ == 0;
    layer.inference = layer.forward;
    layer.forward.bias = step.inputs.size() > 2 && step.inputs[2].defined();
    layer.inference.bias = true;
    layer.inference.residual = line.find("+residual") != std::string::npos;
    if (line.ends_with(" relu")) layer.inference.activation = cudnn::Activation::relu;
    if (line.ends_with(" relu6")) layer.inference.activation = cudnn::Activation::relu6;
    const auto same = [&](const ConvLayer& other) {
      return other.forward == layer.forward && other.inference == layer.inference &&
             other.first == layer.first;
    };
    if (std::none_of(layers.begin(), layers.end(), same)) layers.push_back(layer);
  }
  GRAFT_CHECK(index == fused.size(), network, ": the plan has more convolutions than the network");
  return layers;
}

ConvGraph backward_data(const ConvLayer& layer) {
  ConvGraph graph = layer.forward;
  graph.pass = ConvPass::backward_data;
  graph.bias = false;
  return graph;
}

ConvGraph backward_weight(const ConvLayer& layer, DType gradient) {
  ConvGraph graph = backward_data(layer);
  graph.pass = ConvPass::backward_weight;
  graph.gradient = gradient;
  return graph;
}

}  // namespace graft::test
