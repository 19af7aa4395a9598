// Pools over windows and over whole images, and the inverse of max pooling.
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/movement.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

OpOutputs max_pool_op(const OpCall& call) {
  ops::MaxPoolAttributes attributes;
  attributes.window = read_window(call, call.in(0).shape(), call.integers("kernel_shape"));
  attributes.ceil_mode = call.integer("ceil_mode", 0) != 0;
  if (!call.wants(1)) return {functional::max_pool(call.in(0), attributes)};
  const auto [y, indices] = functional::max_pool_with_indices(
      call.in(0), attributes, call.integer("storage_order", 0) != 0);
  return {y, indices};
}

OpOutputs average_pool_op(const OpCall& call) {
  ops::AveragePoolAttributes attributes;
  attributes.window = read_window(call, call.in(0).shape(), call.integers("kernel_shape"));
  attributes.ceil_mode = call.integer("ceil_mode", 0) != 0;
  attributes.count_include_pad = call.integer("count_include_pad", 0) != 0;
  return {functional::average_pool(call.in(0), attributes)};
}

// p was a float in opset 1.
double pool_power(const OpCall& call) {
  const auto* p = call.node().find("p");
  return !p                                           ? 2
         : p->type == io::onnx::AttributeType::float_ ? shortest_decimal(p->f)
                                                      : static_cast<double>(p->i);
}

OpOutputs lp_pool_op(const OpCall& call) {
  const ops::Window window = read_window(call, call.in(0).shape(), call.integers("kernel_shape"));
  return {
      functional::lp_pool(call.in(0), window, pool_power(call), call.integer("ceil_mode", 0) != 0)};
}

OpOutputs global_average_pool_op(const OpCall& call) {
  return {functional::global_average_pool(call.in(0))};
}
OpOutputs global_max_pool_op(const OpCall& call) {
  return {functional::global_max_pool(call.in(0))};
}
OpOutputs global_lp_pool_op(const OpCall& call) {
  return {functional::global_lp_pool(call.in(0), pool_power(call))};
}

// The places count in the shape that the window implies; a larger output_shape adds zeros at the
// end.
OpOutputs max_unpool_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const ops::Window window = read_window(call, x.shape(), call.integers("kernel_shape"));
  Shape shape = x.shape();
  for (int axis = 0; axis < window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    shape = shape.with(axis + 2, (x.shape()[axis + 2] - 1) * window.stride[i] + window.kernel[i] -
                                     window.pad_begin[i] - window.pad_end[i]);
  }
  call.check_size(shape.numel());
  const Tensor y = functional::max_unpool(x, call.in(1), shape);
  if (!call.has(2)) return {y};
  const std::vector<int64_t> wanted = call.numbers(2), begin(wanted.size());
  GRAFT_CHECK(std::ssize(wanted) == shape.rank(), "output_shape [", join(wanted), "]");
  call.check_size(Shape(wanted).numel());
  std::vector<int64_t> end = wanted;
  for (int axis = 0; axis < shape.rank(); ++axis) end[static_cast<size_t>(axis)] -= shape[axis];
  return {functional::pad(y, begin, end, functional::PadMode::constant)};
}

constexpr const char* kLpPoolAttributes =
    "auto_pad ceil_mode dilations kernel_shape p pads strides";

constexpr Operator kPools[] = {
    {"MaxPool", max_pool_op, "auto_pad ceil_mode dilations kernel_shape pads strides storage_order",
     Layout::images},
    {"AveragePool", average_pool_op,
     "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides", Layout::images},
    {"LpPool", lp_pool_op, kLpPoolAttributes, Layout::images},
    {"GlobalAveragePool", global_average_pool_op, "", Layout::images},
    {"GlobalMaxPool", global_max_pool_op, "", Layout::images},
    {"GlobalLpPool", global_lp_pool_op, "p", Layout::images},
    reading({"MaxUnpool", max_unpool_op, "kernel_shape pads strides"}, {2}),
};

}  // namespace

OperatorTable pooling_operators() { return kPools; }

}  // namespace graft::models::graph
