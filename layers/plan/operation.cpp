// How a plan runs what it did not fuse: the functional of each traced operation.
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/normalization.h"
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
  return [shape](const Inputs& in) {
    return functional::reshape(in[0], shape.with(0, in[0].size(0)));
  };
}

Run batch_norm(const Step& step) {
  const auto attributes = as<ops::BatchNormAttributes>(step);
  if (attributes.training) return {};
  const functional::BatchNormOptions options{
      .training = false, .eps = attributes.eps, .relu = attributes.relu};
  return [options](const Inputs& in) {
    return functional::batch_norm(in[0], in[1], in[2], in[4], in[5], options, in[3]);
  };
}

Run concat(const Step& step) {
  const int axis = as<ops::ConcatAttributes>(step).axis;
  if (axis == 0) return {};
  return [axis](const Inputs& in) { return functional::concat(in, axis); };
}

Run softmax(const Step& step) {
  const auto attributes = as<ops::SoftmaxAttributes>(step);
  if (attributes.axis == 0) return {};
  return [attributes](const Inputs& in) {
    return attributes.log ? functional::log_softmax(in[0], attributes.axis)
                          : functional::softmax(in[0], attributes.axis);
  };
}

// Operations along axes, which must not be the samples'.
Run along_axes(const Step& step) {
  if (step.op == ops::ReduceAttributes::id) {
    const auto attributes = as<ops::ReduceAttributes>(step);
    for (const int axis : attributes.axes)
      if (axis == 0 || axis == -step.ranks[0]) return {};
    if (attributes.axes.empty()) return {};
    return [attributes](const Inputs& in) { return functional::reduce(in[0], attributes); };
  }
  if (step.op == ops::NormalizeAttributes::id) {
    const auto a = as<ops::NormalizeAttributes>(step);
    if (a.axis > 0)
      return
          [a](const Inputs& in) { return functional::normalize(in[0], a.axis, a.eps, a.center); };
  }
  if (step.op == ops::ResampleAttributes::id) {
    const auto a = as<ops::ResampleAttributes>(step);
    if (a.axis > 0) return [a](const Inputs& in) { return functional::resample(in[0], a); };
  }
  if (step.op == ops::TakeAttributes::id) {
    const auto a = as<ops::TakeAttributes>(step);
    if (!a.axes.empty() && a.axes[0].from == 0 && a.axes[0].whole)
      return [a](const Inputs& in) { return functional::take(in[0], a); };
  }
  if (step.op == ops::GatherAttributes::id) {
    const auto a = as<ops::GatherAttributes>(step);
    if (a.indexing == ops::Indexing::slices && a.axis > 0)
      return [a](const Inputs& in) { return functional::gather(in[0], in[1], a.axis); };
  }
  return {};
}

// Two operands that both hold samples need their own axis for them.
Run matmul(const Step& step, const Graph& graph) {
  const bool fixed_factor = graph.constants.contains(step.inputs[1]),
             fixed_left = graph.constants.contains(step.inputs[0]);
  if ((!fixed_factor && step.ranks[1] < 3) ||
      (!fixed_left && !fixed_factor && step.ranks[0] != step.ranks[1]))
    return {};
  return [](const Inputs& in) { return functional::matmul(in[0], in[1]); };
}

}  // namespace

Run operation(const Step& step, const Graph& graph, int64_t traced_samples) {
  if (step.op == ops::ReshapeAttributes::id) return reshape(step, traced_samples);
  if (step.op == ops::BatchNormAttributes::id) return batch_norm(step);
  if (step.op == ops::ConcatAttributes::id) return concat(step);
  if (step.op == ops::SoftmaxAttributes::id) return softmax(step);
  if (step.op == ops::ConvAttributes::id)
    return [a = as<ops::ConvAttributes>(step)](const Inputs& in) {
      return functional::conv(in[0], in[1], in[2], a);
    };
  if (step.op == ops::LinearAttributes::id)
    return [](const Inputs& in) { return functional::linear(in[0], in[1], in[2]); };
  if (step.op == ops::UnaryAttributes::id)
    return [a = as<ops::UnaryAttributes>(step)](const Inputs& in) {
      return functional::unary(in[0], a);
    };
  if (step.op == ops::BinaryAttributes::id)
    return [f = as<ops::BinaryAttributes>(step).function](const Inputs& in) {
      return functional::binary(in[0], in[1], f);
    };
  if (step.op == ops::MaxPoolAttributes::id)
    return [a = as<ops::MaxPoolAttributes>(step)](const Inputs& in) {
      return functional::max_pool(in[0], a);
    };
  if (step.op == ops::AveragePoolAttributes::id)
    return [a = as<ops::AveragePoolAttributes>(step)](const Inputs& in) {
      return functional::average_pool(in[0], a);
    };
  if (step.op == ops::AdaptiveAveragePoolAttributes::id)
    return [a = as<ops::AdaptiveAveragePoolAttributes>(step)](const Inputs& in) {
      return functional::adaptive_average_pool(in[0], a);
    };
  if (step.op == ops::MatmulAttributes::id) return matmul(step, graph);
  if (step.op == ops::WhereAttributes::id)
    return [](const Inputs& in) { return functional::where(in[0], in[1], in[2]); };
  if (step.op == ops::CastAttributes::id)
    return [d = as<ops::CastAttributes>(step).dtype](const Inputs& in) {
      return functional::cast(in[0], d);
    };
  if (step.op == ops::FormatAttributes::id)
    return [f = as<ops::FormatAttributes>(step).format](const Inputs& in) {
      return functional::to_format(in[0], f);
    };
  if (step.op == ops::ConvTransposeAttributes::id)
    return [a = as<ops::ConvTransposeAttributes>(step).conv](const Inputs& in) {
      return functional::conv_transpose(in[0], in[1], {}, a);
    };
  if (Run run = along_axes(step)) return run;
  if (step.op == ops::PadAttributes::id) {
    const auto& a = as<ops::PadAttributes>(step);
    if (a.begin.at(0) == 0 && a.end.at(0) == 0)
      return [a](const Inputs& in) { return functional::pad(in[0], a); };
  }
  return {};
}

}  // namespace graft::plan
