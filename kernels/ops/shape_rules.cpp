// The shape rules of the windowed ops: checked once, here, before any kernel runs.
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/window.h"

namespace graft::ops {

int64_t window_output_extent(const char* op, const Window& window, int axis, int64_t in, bool ceil_mode) {
  const auto i = static_cast<size_t>(axis);
  const int64_t kernel = window.kernel[i], stride = window.stride[i], dilation = window.dilation[i];
  GRAFT_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1, op, ": kernel ", kernel, ", stride ", stride,
              " and dilation ", dilation, " must be at least 1");
  GRAFT_CHECK(window.pad_begin[i] >= 0 && window.pad_end[i] >= 0, op, ": negative padding");
  const int64_t padded = checked_add(checked_add(in, window.pad_begin[i]), window.pad_end[i]);
  const int64_t span = checked_add(checked_mul(dilation, kernel - 1), 1);
  GRAFT_CHECK(padded >= span, op, ": the input's extent ", in, " with padding is smaller than the window of ", span);
  int64_t out = (padded - span) / stride + 1;
  if (ceil_mode && (padded - span) % stride != 0 && out * stride < in + window.pad_begin[i]) ++out;
  return out;
}

Shape conv_output_shape(const Shape& x, const Shape& weight, const ConvAttributes& attributes) {
  const int axes = attributes.window.axes;
  GRAFT_CHECK(axes >= 1 && axes <= 3 && x.rank() == axes + 2 && weight.rank() == axes + 2, "conv: input ", x,
              " and weight ", weight, " do not have ", axes, " spatial axes");
  const int64_t groups = attributes.groups;
  GRAFT_CHECK(groups >= 1 && x[1] % groups == 0 && weight[0] % groups == 0 && weight[1] == x[1] / groups,
              "conv: input ", x, " has not the channels that weight ", weight, " with ", groups, " groups needs");
  int64_t extents[Shape::max_rank] = {x[0], weight[0]};
  for (int axis = 0; axis < axes; ++axis) {
    GRAFT_CHECK(attributes.window.kernel[static_cast<size_t>(axis)] == weight[axis + 2], "conv: weight ", weight,
                " does not fit the declared kernel");
    extents[axis + 2] = window_output_extent("conv", attributes.window, axis, x[axis + 2]);
  }
  return Shape(std::span<const int64_t>(extents, static_cast<size_t>(axes) + 2));
}

}  // namespace graft::ops
