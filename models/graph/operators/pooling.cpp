// MaxPool, AveragePool and their global forms.
#include <limits>

#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

OpOutputs max_pooling(const OpCall& call) {
  GRAFT_CHECK(!call.wants(1), "the indices of the maxima are not supported");
  ops::MaxPoolAttributes attributes;
  attributes.window = read_window(call, call.in(0).shape(), call.integers("kernel_shape"));
  attributes.ceil_mode = call.integer("ceil_mode", 0) != 0;
  return {functional::max_pool(call.in(0), attributes)};
}

OpOutputs average_pooling(const OpCall& call) {
  ops::AveragePoolAttributes attributes;
  attributes.window = read_window(call, call.in(0).shape(), call.integers("kernel_shape"));
  attributes.ceil_mode = call.integer("ceil_mode", 0) != 0;
  attributes.count_include_pad = call.integer("count_include_pad", 0) != 0;
  return {functional::average_pool(call.in(0), attributes)};
}

OpOutputs global_average_pooling(const OpCall& call) { return {functional::global_average_pool(call.in(0))}; }

std::vector<int> spatial_axes(const Tensor& x) {
  GRAFT_CHECK(x.rank() >= 3, "input ", x.shape(), " has no spatial axes");
  std::vector<int> axes;
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  return axes;
}

OpOutputs global_max_pooling(const OpCall& call) {
  return {functional::reduce(call.in(0), {.function = ops::Reduce::max, .axes = spatial_axes(call.in(0)), .keep_axes = true})};
}

constexpr const char* kPoolAttributes = "auto_pad ceil_mode dilations kernel_shape pads strides storage_order";
constexpr const char* kAveragePoolAttributes = "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides";

constexpr Operator kPools[] = {
    {"MaxPool", max_pooling, kPoolAttributes, Layout::images},
    {"AveragePool", average_pooling, kAveragePoolAttributes, Layout::images},
    {"GlobalAveragePool", global_average_pooling, "", Layout::images},
    {"GlobalMaxPool", global_max_pooling, "", Layout::images},
};

}  // namespace

OperatorTable pooling_operators() { return kPools; }

}  // namespace graft::models::graph
