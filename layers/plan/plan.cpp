#include "graft/layers/plan/plan.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/log.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/kernel_skip.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/ops/quantized_conv.h"
#include "graft/kernels/registry.h"
#include "graft/layers/plan/graph.h"

namespace graft {

using plan::FusedConv;
using plan::Graph;
using plan::kNoValue;
using plan::QuantizedConv;
using plan::Step;
using plan::Value;

using Run = std::function<Tensor(const std::vector<Tensor>& inputs)>;

struct Plan::Impl {
  // A parameter as it was at compilation.
  struct Seen {
    Tensor tensor;
    uint64_t version;
  };

  Shape image;
  DType precision = DType::f32;
  Device device;
  Graph graph;
  std::vector<Run> runs;                      // by step
  std::vector<std::vector<Value>> last_uses;  // by step: the values no later step reads
  std::vector<Seen> seen;
  std::vector<plan::Segment> segments;

  Tensor run_steps(const plan::Segment& segment, const Tensor& x, const Tensor& y,
                   RangeObserver* observer) const;
  Tensor run_segment(const plan::Segment& segment, const Tensor& x, RangeObserver* observer) const;
  Tensor run(const Tensor& x, RangeObserver* observer) const;
};

namespace {

constexpr int64_t kTracedSamples = 2;
void pack(FusedConv& conv) {
  ops::FusedConvPackArgs args{conv.weight, conv.attributes, conv.packed};
  kernels_for<ops::FusedConvKernels>(conv.weight).pack(current_context(), args);
}

// What a forward pass records on an image of zeros.
Tensor trace_of(const std::function<Tensor(const Tensor&)>& forward, const Tensor& x,
                PlanOptions::Tracing tracing, Trace& trace) {
  std::set<uint64_t> computed{x.storage_id()};  // storages of values that depend on x
  size_t seen = 0;
  const auto depends_on_image = [&](const Tensor& in) {
    for (; seen < trace.steps.size(); ++seen) {
      const TraceStep& step = trace.steps[seen];
      const bool depends = std::any_of(
          step.inputs.begin(), step.inputs.end(),
          [&](const Tensor& t) { return t.defined() && computed.contains(t.storage_id()); });
      for (const Tensor& y : step.outputs)
        if (depends) computed.insert(y.storage_id());
    }
    return computed.contains(in.storage_id());
  };
  const ScopedTrace scope(trace);
  if (tracing == PlanOptions::Tracing::values) return forward(x);
  const ScopedKernelSkip skip(depends_on_image);
  return forward(x);
}

// Into `given` where that is defined.
Tensor run_conv(const FusedConv& conv, const std::vector<Tensor>& inputs, const Tensor& given) {
  const Tensor& x = inputs[0];
  const Tensor& residual = inputs[1];
  Tensor y = given.defined() ? given
                             : Tensor::empty(ops::conv_output_shape(x.shape(), conv.weight.shape(),
                                                                    conv.attributes.conv),
                                             x.options());
  const ops::PackedWeight* packed = conv.ran.exchange(true) ? conv.packed.get() : nullptr;
  kernels_for<ops::FusedConvKernels>(x).forward(
      current_context(), {x, conv.weight, packed, conv.bias.defined() ? &conv.bias : nullptr,
                          residual.defined() ? &residual : nullptr, conv.attributes, y});
  return y;
}

Tensor run_quantized(const QuantizedConv& conv, const std::vector<Tensor>& inputs) {
  const Tensor& x = inputs[0];
  const Tensor& residual = inputs[1];
  Tensor y =
      Tensor::empty(ops::conv_output_shape(x.shape(), conv.weight.shape(), conv.attributes.conv),
                    {.dtype = conv.y_is_u8 ? DType::u8 : DType::f32, .format = x.format()});
  kernels_for<ops::QuantizedConvKernels>(x).forward(
      current_context(), {x, conv.weight, conv.packed.get(), conv.multiplier, conv.bias,
                          residual.defined() ? &residual : nullptr, conv.attributes, y});
  return y;
}

Tensor run_quantize(const ops::Quantization& quantization, const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), {.dtype = DType::u8, .format = x.format()});
  kernels_for<ops::QuantizedConvKernels>(x).quantize(current_context(), {x, quantization, y});
  return y;
}

// How a step runs, or why it cannot. Fused convolutions are run by run_steps itself.
Replay replay_of(const Step& step, const Graph& graph) {
  if (step.conv) {
    pack(*step.conv);
    return {[conv = step.conv](const std::vector<Tensor>& inputs) {
              return run_conv(*conv, inputs, {});
            },
            {}};
  }
  if (step.quantized) {
    QuantizedConv& conv = *step.quantized;
    kernels_for<ops::QuantizedConvKernels>(conv.weight)
        .pack(current_context(), {conv.weight, conv.attributes, conv.packed});
    return {[q = step.quantized](const std::vector<Tensor>& inputs) {
              return run_quantized(*q, inputs);
            },
            {}};
  }
  if (step.op == plan::kQuantize)
    return {[q = std::any_cast<ops::Quantization>(step.attributes)](
                const std::vector<Tensor>& inputs) { return run_quantize(q, inputs[0]); },
            {}};
  std::vector<bool> constants;
  for (const Value v : step.inputs)
    constants.push_back(v == kNoValue || graph.constants.contains(v));
  return step.replay({step.attributes, step.ranks, constants, kTracedSamples});
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

// All samples of x at once. Where y is defined the result may be written there; it is what comes
// back in any case.
Tensor Plan::Impl::run_steps(const plan::Segment& segment, const Tensor& x, const Tensor& y,
                             RangeObserver* observer) const {
  std::vector<Tensor> values(static_cast<size_t>(graph.values));
  values[static_cast<size_t>(segment.in)] = segment.begin == 0 ? x.to(precision) : x;
  std::vector<Tensor> inputs;
  std::set<Value> observed;
  for (size_t i = segment.begin; i < segment.end; ++i) {
    const Step& step = graph.steps[i];
    inputs.clear();
    for (const Value v : step.inputs) {
      if (v == kNoValue)
        inputs.emplace_back();
      else if (const auto constant = graph.constants.find(v); constant != graph.constants.end())
        inputs.push_back(constant->second);
      else
        inputs.push_back(values[static_cast<size_t>(v)]);
    }
    const bool last = i + 1 == segment.end;
    values[static_cast<size_t>(step.output)] =
        step.conv && last ? run_conv(*step.conv, inputs, y) : runs[i](inputs);
    if (observer && step.conv) {
      if (observed.insert(step.inputs[0]).second) observer->add(step.inputs[0], inputs[0]);
      if (observed.insert(step.output).second)
        observer->add(step.output, values[static_cast<size_t>(step.output)]);
    }
    for (const Value v : last_uses[i]) values[static_cast<size_t>(v)] = Tensor();
  }
  return values[static_cast<size_t>(segment.out)];
}

// In groups of samples.
Tensor Plan::Impl::run_segment(const plan::Segment& segment, const Tensor& x,
                               RangeObserver* observer) const {
  const int64_t samples = x.size(0), groups = ceil_div(samples, segment.group);
  if (groups <= 1) return run_steps(segment, x, {}, observer);
  const int64_t each = ceil_div(samples, groups);
  Tensor all;
  for (int64_t first = 0; first < samples; first += each) {
    const int64_t count = std::min(each, samples - first);
    const Tensor place = all.defined() ? all.narrow_batch(first, count) : Tensor();
    const Tensor y = run_steps(segment, x.narrow_batch(first, count), place, observer);
    if (!all.defined()) all = Tensor::empty(y.shape().with(0, samples), y.options());
    Tensor to = all.narrow_batch(first, count);
    if (to.raw() != y.raw()) to.copy_from(y);
  }
  return all;
}

Tensor Plan::Impl::run(const Tensor& x, RangeObserver* observer) const {
  const NoGradGuard no_grad;
  const int64_t samples = x.size(0), most = segments.back().group,
                parts = std::max<int64_t>(1, ceil_div(samples, most)),
                each = ceil_div(samples, parts);
  Tensor all;
  for (int64_t first = 0; first == 0 || first < samples; first += each) {
    const int64_t count = std::min(each, samples - first);
    Tensor y = parts == 1 ? x : x.narrow_batch(first, count);
    for (const plan::Segment& segment : segments) y = run_segment(segment, y, observer);
    if (y.dtype() == precision) y = y.to(DType::f32);
    if (parts == 1) return y;
    if (!all.defined()) all = Tensor::empty(y.shape().with(0, samples), y.options());
    all.narrow_batch(first, count).copy_from(y);
  }
  return all;
}

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;

std::unique_ptr<Plan> Plan::compile(const std::function<Tensor(const Tensor&)>& forward,
                                    const Shape& image, std::string* reason,
                                    const PlanOptions& options) {
  const DType precision = options.precision;
  const bool on_cpu = is_cpu(options.device);
  GRAFT_CHECK(!options.calibration || precision == DType::f32,
              "plan: 8-bit convolutions stand between float32 values");
  GRAFT_CHECK(!options.calibration || on_cpu, "plan: 8-bit convolutions are the CPU's");
  GRAFT_CHECK(
      precision == DType::f32 || precision == DType::bf16 || (precision == DType::f16 && !on_cpu),
      "plan: precision ", name_of(precision),
      on_cpu ? ", expected float32 or bfloat16" : ", expected float32, bfloat16 or float16");
  GRAFT_CHECK(image.rank() == 3, "plan: image shape ", image, ", expected [C,H,W]");
  const NoGradGuard no_grad;
  Trace trace;
  const Tensor x = Tensor::zeros({kTracedSamples, image[0], image[1], image[2]},
                                 {.format = MemoryFormat::channels_last, .device = options.device});
  const Tensor y = trace_of(forward, x, options.tracing, trace);
  const auto refuse = [&](const std::string& why) {
    log("plan", "not compiled: ", why);
    if (reason) *reason = why;
    return nullptr;
  };
  if (trace.is_watched) return refuse("a forward hook watches it, which no plan would call");
  auto impl = std::make_unique<Impl>();
  impl->image = image;
  impl->precision = precision;
  impl->device = options.device;
  try {
    impl->graph = plan::graph_of(trace, x, y);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::resource) throw;
    return refuse(error.what());
  }
  for (const auto& [value, tensor] : impl->graph.constants) {
    if (is_floating(tensor.dtype()) && tensor.dtype() != DType::f32)
      return refuse(str("a parameter is ", name_of(tensor.dtype())));
    impl->seen.push_back({tensor, tensor.version()});
  }
  plan::fuse_convolutions(
      impl->graph, options.calibration ? plan::FusedFunctions::no : plan::FusedFunctions::yes);
  if (options.calibration) plan::quantize_convolutions(impl->graph, *options.calibration);
  for (const Step& step : impl->graph.steps) {
    Replay replay = replay_of(step, impl->graph);
    if (!replay.run) return refuse(str("no plan runs ", step.op, ": ", replay.why_not));
    impl->runs.push_back(std::move(replay.run));
  }
  impl->last_uses = find_last_uses(impl->graph);
  impl->segments = plan::segments_of(
      impl->graph, options.calibration ? 2 : size_of(precision),
      on_cpu ? plan::kCpuGroups : plan::kWholeBatch);  // of 8 bits, and the floats in between
  if (impl->segments.empty()) return refuse("the result is the input");
  if (precision != DType::f32) {
    try {
      const auto everything = [](const Tensor&) { return true; };
      const ScopedKernelSkip dry(everything);
      static_cast<void>(impl->run(x, nullptr));
      for (const Step& step : impl->graph.steps)
        if (step.conv) step.conv->ran = false;
    } catch (
        const Error& error) {  // an operation that does not mix types with its float32 parameters
      if (error.code() == ErrorCode::resource) throw;
      return refuse(error.what());
    }
  }
  return std::unique_ptr<Plan>(new Plan(std::move(impl)));
}

namespace {

void check_image(const Tensor& x, const Shape& image) {
  GRAFT_CHECK(x.dtype() == DType::f32 && x.rank() == 4 &&
                  x.format() == MemoryFormat::channels_last && x.size(1) == image[0] &&
                  x.size(2) == image[1] && x.size(3) == image[2],
              "plan: input ", x.shape(), ", compiled for float32 channels_last images ", image);
}

}  // namespace

Tensor Plan::run(const Tensor& x) const {
  check_image(x, impl_->image);
  return impl_->run(x, nullptr);
}

void Plan::warm_up() const {
  const Shape& image = impl_->image;
  for (const Step& step : impl_->graph.steps)
    if (step.conv) step.conv->ran = true;
  const Tensor x = Tensor::zeros({1, image[0], image[1], image[2]},
                                 {.format = MemoryFormat::channels_last, .device = impl_->device});
  static_cast<void>(impl_->run(x, nullptr));
}

void Plan::observe(const Tensor& x, RangeObserver& observer) const {
  check_image(x, impl_->image);
  GRAFT_CHECK(impl_->precision == DType::f32, "plan: ranges are observed in float32");
  impl_->run(x, &observer);
}

bool Plan::stale() const {
  for (const Impl::Seen& seen : impl_->seen)
    if (seen.tensor.version() != seen.version) return true;
  return false;
}

namespace {

// The activation, with a blank before it.
std::string activation_of(const ops::FusedConvAttributes& attributes) {
  switch (attributes.activation) {
    case ops::FusedActivation::none: return "";
    case ops::FusedActivation::relu: return " relu";
    case ops::FusedActivation::relu6: return " relu6";
    case ops::FusedActivation::function: break;
  }
  return str(" ", ops::name_of(attributes.function.function));
}

}  // namespace

std::string Plan::describe() const {
  std::string out;
  for (const Step& step : impl_->graph.steps) {
    out += step.op;
    if (step.conv)
      out += str(" ", step.conv->weight.shape(), step.inputs[1] != kNoValue ? " +residual" : "",
                 activation_of(step.conv->attributes));
    if (step.quantized)
      out +=
          str(" ", step.quantized->weight.shape(), step.inputs[1] != kNoValue ? " +residual" : "",
              step.quantized->y_is_u8 ? " to u8" : " to f32");
    out += "\n";
  }
  return out;
}

}  // namespace graft
