// How a plan runs what it did not fuse: the functional of each traced operation.
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/plan/graph.h"

namespace graft::plan {
namespace {

using Inputs = std::vector<Tensor>;

template <class Attributes>
const Attributes& as(const Step& step) {
  return std::any_cast<const Attributes&>(step.attributes);
}

Run reshape(const Step& step, int64_t traced_samples) {
  const Shape shape = as<ops::ReshapeAttributes>(step).shape;
  if (shape.rank() < 1 || shape[0] != traced_samples) return {};  // it mixes samples
  return [shape](const Inputs& in) { return functional::reshape(in[0], shape.with(0, in[0].size(0))); };
}

Run batch_norm(const Step& step) {
  const auto attributes = as<ops::BatchNormAttributes>(step);
  if (attributes.training) return {};
  const functional::BatchNormOptions options{.training = false, .eps = attributes.eps, .relu = attributes.relu};
  return [options](const Inputs& in) { return functional::batch_norm(in[0], in[1], in[2], in[4], in[5], options, in[3]); };
}

Run concat(const Step& step) {
  const int axis = as<ops::ConcatAttributes>(step).axis;
  if (axis == 0) return {};
  return [axis](const Inputs& in) { return functional::concat(in, axis); };
}

Run softmax(const Step& step) {
  const auto attributes = as<ops::SoftmaxAttributes>(step);
  if (attributes.axis == 0) return {};
  return [attributes](const Inputs& in) { return attributes.log ? functional::log_softmax(in[0], attributes.axis) : functional::softmax(in[0], attributes.axis); };
}

}  // namespace

Run operation(const Step& step, int64_t traced_samples) {
  if (step.op == ops::ReshapeAttributes::id) return reshape(step, traced_samples);
  if (step.op == ops::BatchNormAttributes::id) return batch_norm(step);
  if (step.op == ops::ConcatAttributes::id) return concat(step);
  if (step.op == ops::SoftmaxAttributes::id) return softmax(step);
  if (step.op == ops::ConvAttributes::id)
    return [a = as<ops::ConvAttributes>(step)](const Inputs& in) { return functional::conv(in[0], in[1], in[2], a); };
  if (step.op == ops::LinearAttributes::id) return [](const Inputs& in) { return functional::linear(in[0], in[1], in[2]); };
  if (step.op == ops::UnaryAttributes::id)
    return [a = as<ops::UnaryAttributes>(step)](const Inputs& in) { return functional::unary(in[0], a); };
  if (step.op == ops::BinaryAttributes::id)
    return [f = as<ops::BinaryAttributes>(step).function](const Inputs& in) { return functional::binary(in[0], in[1], f); };
  if (step.op == ops::MaxPoolAttributes::id)
    return [a = as<ops::MaxPoolAttributes>(step)](const Inputs& in) { return functional::max_pool(in[0], a); };
  if (step.op == ops::AveragePoolAttributes::id)
    return [a = as<ops::AveragePoolAttributes>(step)](const Inputs& in) { return functional::average_pool(in[0], a); };
  if (step.op == ops::AdaptiveAveragePoolAttributes::id)
    return [a = as<ops::AdaptiveAveragePoolAttributes>(step)](const Inputs& in) { return functional::adaptive_average_pool(in[0], a); };
  if (step.op == ops::PadAttributes::id) {
    const auto& a = as<ops::PadAttributes>(step);
    if (a.begin.at(0) == 0 && a.end.at(0) == 0) return [a](const Inputs& in) { return functional::pad(in[0], a); };
  }
  return {};
}

}  // namespace graft::plan
