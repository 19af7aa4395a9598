// Conv. Opsets 1 to 22: auto_pad and the kernel's shape have not changed.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

OpOutputs convolution(const OpCall& call) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  GRAFT_CHECK(x.rank() >= 3 && weight.rank() == x.rank(), "input ", x.shape(), " and weight ", weight.shape());
  ops::ConvAttributes attributes;
  std::vector<int64_t> kernel(weight.shape().begin() + 2, weight.shape().end());
  GRAFT_CHECK(call.integers("kernel_shape", kernel) == kernel, "kernel_shape is not that of the weight ", weight.shape());
  attributes.window = read_window(call, x.shape(), kernel);
  attributes.groups = call.integer("group", 1);
  return {functional::conv(x, weight, call.optional(2), attributes)};
}

constexpr const char* kConvAttributes = "auto_pad dilations group kernel_shape pads strides";

constexpr Operator kConvolutions[] = {
    {"Conv", convolution, kConvAttributes, Layout::images},
};

}  // namespace

OperatorTable convolution_operators() { return kConvolutions; }

}  // namespace graft::models::graph
