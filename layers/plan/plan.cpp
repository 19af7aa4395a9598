#include "graft/layers/plan/plan.h"

#include <algorithm>
#include <cstring>

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
  int64_t group = 1;  // samples that run together, see kGroupBytes

  Tensor run(const Tensor& x) const;
};

namespace {

constexpr int64_t kTracedSamples = 2;
// A batch runs in groups of samples whose largest value is about this large: it is then still in the last-level cache
// when it is read, and the plan's memory does not grow with the batch.
constexpr int64_t kGroupBytes = int64_t{8} << 20;

// Samples a group, by the largest value that the trace made.
int64_t samples_of_group(const Trace& trace, DType precision) {
  int64_t largest = 1;
  for (const auto& step : trace.steps)
    for (const Tensor& value : step.outputs) largest = std::max(largest, value.numel() * size_of(precision) / kTracedSamples);
  return std::max<int64_t>(1, kGroupBytes / largest);
}

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

// All samples of x at once.
Tensor Plan::Impl::run(const Tensor& x) const {
  std::vector<Tensor> values(static_cast<size_t>(graph.values));
  values[static_cast<size_t>(graph.input)] = x.to(precision);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    inputs.clear();
    for (const Value v : step.inputs) {
      if (v == kNoValue) inputs.emplace_back();
      else if (const auto constant = graph.constants.find(v); constant != graph.constants.end()) inputs.push_back(constant->second);
      else inputs.push_back(values[static_cast<size_t>(v)]);
    }
    values[static_cast<size_t>(step.output)] = runs[i](inputs);
    for (const Value v : last_uses[i]) values[static_cast<size_t>(v)] = Tensor();
  }
  const Tensor& y = values[static_cast<size_t>(graph.output)];
  return y.dtype() == precision ? y.to(DType::f32) : y;
}

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
  impl->group = samples_of_group(trace, precision);
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
  if (precision != DType::f32) {
    try {
      static_cast<void>(impl->run(x));
    } catch (const Error& error) {  // an operation that does not mix types with its float32 parameters
      return refuse(error.what());
    }
  }
  return std::unique_ptr<Plan>(new Plan(std::move(impl)));
}

Tensor Plan::run(const Tensor& x) const {
  GRAFT_CHECK(x.dtype() == DType::f32 && x.rank() == 4 && x.format() == MemoryFormat::channels_last && x.size(1) == impl_->image[0] &&
                  x.size(2) == impl_->image[1] && x.size(3) == impl_->image[2],
              "plan: input ", x.shape(), ", compiled for float32 channels_last images ", impl_->image);
  const NoGradGuard no_grad;
  const int64_t samples = x.size(0), groups = ceil_div(samples, impl_->group);
  if (groups <= 1) return impl_->run(x);
  const int64_t each = ceil_div(samples, groups);
  Tensor all;
  for (int64_t first = 0; first < samples; first += each) {
    const int64_t count = std::min(each, samples - first);
    const Tensor y = impl_->run(x.narrow_batch(first, count));
    if (!all.defined()) all = Tensor::empty(y.shape().with(0, samples), y.options());
    std::memcpy(static_cast<std::byte*>(all.mutable_raw()) + first * (y.bytes() / count), y.raw(), static_cast<size_t>(y.bytes()));
  }
  return all;
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
