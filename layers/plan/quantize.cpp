// The pass that makes 8-bit steps of fused convolutions: u8 values with one scale and zero each, i8
// weights with a scale an output channel.
#include <algorithm>
#include <cmath>
#include <set>

#include "graft/core/base/error.h"
#include "graft/layers/plan/graph.h"

namespace graft::plan {
namespace {

// Of a value that ranges over [low, high]; zero is exact.
ops::Quantization quantization_of(float low, float high) {
  low = std::min(low, 0.0F), high = std::max(high, 0.0F);
  ops::Quantization q;
  if (high - low > 0) q.scale = (high - low) / 255;
  q.zero = std::clamp(static_cast<int32_t>(std::lround(-low / q.scale)), 0, 255);
  return q;
}

class Quantizer {
 public:
  Quantizer(Graph& graph, const Calibration& calibration) : graph_(graph) {
    for (const Calibration::Range& range : calibration.ranges)
      ranges_[range.value] = quantization_of(range.low, range.high);
    for (const Step& step : graph.steps)
      for (const Value v : step.inputs)
        if (v != kNoValue && !wanted(step)) read_as_floats_.insert(v);
    read_as_floats_.insert(graph.output);
    for (const Step& step : graph.steps)
      if (wanted(step) && !read_as_floats_.contains(step.output)) bytes_.insert(step.output);
  }

  void operator()() {
    std::vector<Step> steps;
    for (Step& step : graph_.steps) {
      if (wanted(step)) convert(step, steps);
      steps.push_back(std::move(step));
    }
    graph_.steps = std::move(steps);
  }

 private:
  static bool wanted(const Step& step) {
    if (!step.conv) return false;
    const int64_t channels = step.conv->weight.size(1);
    return channels > 8 && channels % 4 == 0;
  }

  const ops::Quantization& quantization(Value value) const {
    const auto found = ranges_.find(value);
    GRAFT_CHECK(found != ranges_.end(),
                "int8: the ranges are of another network (there is none for value ", value, ")");
    return found->second;
  }

  // The value in 8 bits: as it is made, or by a step in front.
  Value in_bytes(Value value, std::vector<Step>& steps) {
    if (bytes_.contains(value)) return value;
    const auto [made, is_new] = made_.emplace(value, graph_.values);
    if (is_new) {
      ++graph_.values;
      graph_.elements[made->second] = graph_.elements[value];
      steps.push_back(
          {kQuantize, quantization(value), {value}, {4}, made->second, nullptr, nullptr, nullptr});
    }
    return made->second;
  }

  void convert(Step& step, std::vector<Step>& steps) {
    auto q = std::make_shared<QuantizedConv>();
    q->attributes.conv = step.conv->attributes.conv;
    q->attributes.activation = step.conv->attributes.activation;
    q->attributes.x = quantization(step.inputs[0]);
    if (step.inputs[1] != kNoValue && bytes_.contains(step.inputs[1]))
      q->attributes.residual = quantization(step.inputs[1]);
    q->y_is_u8 = bytes_.contains(step.output);
    if (q->y_is_u8) q->attributes.y = quantization(step.output);
    quantize_weight(*step.conv, *q);
    step.inputs[0] = in_bytes(step.inputs[0], steps);
    step.op = ops::QuantizedConvAttributes::id;
    step.conv = nullptr;
    step.quantized = std::move(q);
  }

  static void quantize_weight(const FusedConv& conv, QuantizedConv& q) {
    const Tensor weight = conv.weight.to(MemoryFormat::contiguous);
    const int64_t filters = weight.size(0), each = weight.numel() / filters;
    q.weight = Tensor::empty(weight.shape(), {.dtype = DType::i8});
    q.multiplier = Tensor::empty({filters});
    q.bias = conv.bias.defined() ? conv.bias : Tensor::zeros({filters});
    const float* w = weight.data<float>();
    int8_t* out = q.weight.mutable_data<int8_t>();
    float* multiplier = q.multiplier.mutable_data<float>();
    for (int64_t k = 0; k < filters; ++k) {
      float largest = 0;
      for (int64_t i = k * each; i < (k + 1) * each; ++i)
        largest = std::max(largest, std::abs(w[i]));
      const float scale = largest > 0 ? largest / 127 : 1;
      for (int64_t i = k * each; i < (k + 1) * each; ++i)
        out[i] = static_cast<int8_t>(std::clamp(std::nearbyint(w[i] / scale), -127.0F, 127.0F));
      multiplier[k] = scale * q.attributes.x.scale;
    }
  }

  Graph& graph_;
  std::map<Value, ops::Quantization> ranges_;
  std::set<Value> read_as_floats_;  // by steps that stay
  std::set<Value> bytes_;           // made in 8 bits
  std::map<Value, Value> made_;     // f32 value -> its 8-bit form
};

}  // namespace

void quantize_convolutions(Graph& graph, const Calibration& calibration) {
  Quantizer(graph, calibration)();
}

}  // namespace graft::plan
