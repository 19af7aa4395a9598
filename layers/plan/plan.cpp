#include "graft/layers/plan/plan.h"

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/log.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/registry.h"
#include "graft/layers/plan/graph.h"

namespace graft {

using plan::FusedConv;
using plan::Graph;
using plan::kNoValue;
using plan::Step;
using plan::Value;

struct Plan::Impl {
  // A parameter as it was at compilation.
  struct Seen {
    Tensor tensor;
    uint64_t version;
  };

  Shape image;
  DType precision = DType::f32;
  Graph graph;
  std::vector<plan::Run> runs;                 // by step
  std::vector<std::vector<Value>> last_uses;   // by step: the values no later step reads
  std::vector<Seen> seen;
};

namespace {

constexpr int64_t kTracedSamples = 2;

void pack(FusedConv& conv) {
  ops::FusedConvPackArgs args{conv.weight, conv.attributes, conv.packed};
  kernels_for(conv.weight).fused_conv.pack(current_context(), args);
}

Tensor run_conv(const FusedConv& conv, const std::vector<Tensor>& inputs) {
  const Tensor& x = inputs[0];
  const Tensor& residual = inputs[1];
  Tensor y = Tensor::empty(ops::conv_output_shape(x.shape(), conv.weight.shape(), conv.attributes.conv), x.options());
  kernels_for(x).fused_conv.forward(current_context(), {x, conv.weight, conv.packed.get(), conv.bias.defined() ? &conv.bias : nullptr,
                                                        residual.defined() ? &residual : nullptr, conv.attributes, y});
  return y;
}

std::vector<std::vector<Value>> find_last_uses(const Graph& graph) {
  std::vector<std::vector<Value>> result(graph.steps.size());
  std::vector<bool> read_later(static_cast<size_t>(graph.values));
  read_later[static_cast<size_t>(graph.output)] = true;
  for (size_t i = graph.steps.size(); i-- > 0;)
    for (const Value v : graph.steps[i].inputs) {
      if (v == kNoValue || read_later[static_cast<size_t>(v)]) continue;
      read_later[static_cast<size_t>(v)] = true;
      if (!graph.constants.contains(v)) result[i].push_back(v);
    }
  return result;
}

}  // namespace

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;

std::unique_ptr<Plan> Plan::compile(const std::function<Tensor(const Tensor&)>& forward, const Shape& image, std::string* reason,
                                    DType precision) {
  GRAFT_CHECK(precision == DType::f32 || precision == DType::bf16, "plan: precision ", name_of(precision), ", expected float32 or bfloat16");
  GRAFT_CHECK(image.rank() == 3, "plan: image shape ", image, ", expected [C,H,W]");
  const NoGradGuard no_grad;
  Trace trace;
  const Tensor x = Tensor::zeros({kTracedSamples, image[0], image[1], image[2]}, {.format = MemoryFormat::channels_last});
  Tensor y;
  {
    const ScopedTrace scope(trace);
    y = forward(x);
  }
  const auto refuse = [&](const std::string& why) {
    log("plan", "not compiled: ", why);
    if (reason) *reason = why;
    return nullptr;
  };
  auto impl = std::make_unique<Impl>();
  impl->image = image;
  impl->precision = precision;
  try {
    impl->graph = plan::graph_of(trace, x, y);
  } catch (const Error& error) {
    return refuse(error.what());
  }
  for (const auto& [value, tensor] : impl->graph.constants) {
    if (is_floating(tensor.dtype()) && tensor.dtype() != DType::f32) return refuse(str("a parameter is ", name_of(tensor.dtype())));
    impl->seen.push_back({tensor, tensor.version()});
  }
  plan::fuse_convolutions(impl->graph);
  for (Step& step : impl->graph.steps) {
    if (step.conv) {
      pack(*step.conv);
      impl->runs.push_back([conv = step.conv](const std::vector<Tensor>& inputs) { return run_conv(*conv, inputs); });
      continue;
    }
    plan::Run run = plan::operation(step, impl->graph, kTracedSamples);
    if (!run) return refuse(str("plans do not know the operation ", step.op, ", or it mixes samples"));
    impl->runs.push_back(std::move(run));
  }
  impl->last_uses = find_last_uses(impl->graph);
  return std::unique_ptr<Plan>(new Plan(std::move(impl)));
}

Tensor Plan::run(const Tensor& x) const {
  const Graph& graph = impl_->graph;
  GRAFT_CHECK(x.dtype() == DType::f32 && x.rank() == 4 && x.format() == MemoryFormat::channels_last && x.size(1) == impl_->image[0] &&
                  x.size(2) == impl_->image[1] && x.size(3) == impl_->image[2],
              "plan: input ", x.shape(), ", compiled for float32 channels_last images ", impl_->image);
  const NoGradGuard no_grad;
  std::vector<Tensor> values(static_cast<size_t>(graph.values));
  values[static_cast<size_t>(graph.input)] = x.to(impl_->precision);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    inputs.clear();
    for (const Value v : step.inputs) {
      if (v == kNoValue) inputs.emplace_back();
      else if (const auto constant = graph.constants.find(v); constant != graph.constants.end()) inputs.push_back(constant->second);
      else inputs.push_back(values[static_cast<size_t>(v)]);
    }
    values[static_cast<size_t>(step.output)] = impl_->runs[i](inputs);
    for (const Value v : impl_->last_uses[i]) values[static_cast<size_t>(v)] = Tensor();
  }
  return values[static_cast<size_t>(graph.output)].to(DType::f32);
}

bool Plan::stale() const {
  for (const Impl::Seen& seen : impl_->seen)
    if (seen.tensor.version() != seen.version) return true;
  return false;
}

std::string Plan::describe() const {
  std::string out;
  for (const Step& step : impl_->graph.steps) {
    out += step.op;
    if (step.conv) {
      const auto activation = step.conv->attributes.activation;
      out += str(" ", step.conv->weight.shape(), step.inputs[1] != kNoValue ? " +residual" : "",
                 activation == ops::FusedActivation::none ? "" : activation == ops::FusedActivation::relu ? " relu" : " relu6");
    }
    out += "\n";
  }
  return out;
}

}  // namespace graft
