// The shape rules of all ops: checked once, here, before any kernel runs.
#include <algorithm>

#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/matmul.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/kernels/ops/resample.h"
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/ops/take.h"
#include "graft/kernels/ops/window.h"

namespace graft::ops {

int64_t window_output_extent(const char* op, const Window& window, int axis, int64_t in,
                             bool ceil_mode) {
  const auto i = static_cast<size_t>(axis);
  const int64_t kernel = window.kernel[i], stride = window.stride[i], dilation = window.dilation[i];
  GRAFT_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1, op, ": kernel ", kernel, ", stride ",
              stride, " and dilation ", dilation, " must be at least 1");
  GRAFT_CHECK(window.pad_begin[i] >= 0 && window.pad_end[i] >= 0, op, ": negative padding");
  const int64_t padded = checked_add(checked_add(in, window.pad_begin[i]), window.pad_end[i]);
  const int64_t span = checked_add(checked_mul(dilation, kernel - 1), 1);
  GRAFT_CHECK(padded >= span, op, ": the input's extent ", in,
              " with padding is smaller than the window of ", span);
  int64_t out = (padded - span) / stride + 1;
  if (ceil_mode && (padded - span) % stride != 0 && out * stride < in + window.pad_begin[i]) ++out;
  return out;
}

Shape conv_output_shape(const Shape& x, const Shape& weight, const ConvAttributes& attributes) {
  const int axes = attributes.window.axes;
  GRAFT_CHECK(axes >= 1 && axes <= 3 && x.rank() == axes + 2 && weight.rank() == axes + 2,
              "conv: input ", x, " and weight ", weight, " do not have ", axes, " spatial axes");
  const int64_t groups = attributes.groups;
  GRAFT_CHECK(
      groups >= 1 && x[1] % groups == 0 && weight[0] % groups == 0 && weight[1] == x[1] / groups,
      "conv: input ", x, " has ", x[1], " channels, but weight ", weight, " with ", groups,
      " groups needs ", checked_mul(weight[1], std::max<int64_t>(groups, 1)));
  int64_t extents[Shape::max_rank] = {x[0], weight[0]};
  for (int axis = 0; axis < axes; ++axis) {
    GRAFT_CHECK(attributes.window.kernel[static_cast<size_t>(axis)] == weight[axis + 2],
                "conv: weight ", weight, " does not fit the declared kernel");
    extents[axis + 2] = window_output_extent("conv", attributes.window, axis, x[axis + 2]);
  }
  return Shape(std::span<const int64_t>(extents, static_cast<size_t>(axes) + 2));
}

Shape conv_transpose_output_shape(const Shape& x, const Shape& weight,
                                  const ConvTransposeAttributes& attributes) {
  const Window& window = attributes.conv.window;
  const int64_t groups = attributes.conv.groups;
  GRAFT_CHECK(window.axes >= 1 && window.axes <= 3 && x.rank() == window.axes + 2 &&
                  weight.rank() == x.rank(),
              "conv_transpose: input ", x, " and weight ", weight, " do not have ", window.axes,
              " spatial axes");
  GRAFT_CHECK(groups >= 1 && weight[0] == x[1] && x[1] % groups == 0, "conv_transpose: input ", x,
              " has ", x[1], " channels, but weight ", weight, " with ", groups, " groups needs ",
              weight[0], ", a multiple of the groups");
  Shape y = x.with(1, checked_mul(weight[1], groups));
  for (int axis = 0; axis < window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    GRAFT_CHECK(window.kernel[i] == weight[axis + 2] && window.kernel[i] >= 1 &&
                    window.stride[i] >= 1 && window.dilation[i] >= 1 && window.pad_begin[i] >= 0 &&
                    window.pad_end[i] >= 0 && x[axis + 2] >= 1,
                "conv_transpose: input ", x, ", kernel ", window.kernel[i], ", stride ",
                window.stride[i], ", dilation ", window.dilation[i]);
    const int64_t span = checked_add(checked_mul(window.dilation[i], window.kernel[i] - 1), 1);
    const int64_t full = checked_add(checked_mul(window.stride[i], x[axis + 2] - 1), span);
    const int64_t extent = full - window.pad_begin[i] - window.pad_end[i];
    GRAFT_CHECK(extent >= 1, "conv_transpose: padding leaves nothing of ", full, " elements");
    y = y.with(axis + 2, extent);
  }
  return y;
}

Shape matmul_output_shape(const Shape& a, const Shape& b) {
  GRAFT_CHECK(a.rank() >= 2 && b.rank() >= 2 && a.at(-1) == b.at(-2), "matmul: ", a, " times ", b);
  const Shape leading =
      broadcast_shape(Shape(a.extents().first(static_cast<size_t>(a.rank()) - 2)),
                      Shape(b.extents().first(static_cast<size_t>(b.rank()) - 2)));
  std::vector<int64_t> extents(leading.begin(), leading.end());
  extents.insert(extents.end(), {a.at(-2), b.at(-1)});
  return Shape(std::span<const int64_t>(extents));
}

Shape resample_output_shape(const Shape& x, const ResampleAttributes& attributes) {
  const auto& [axis, first, positions, weights, fill] = attributes;
  GRAFT_CHECK(axis >= 0 && axis < x.rank(), "resample: axis ", axis, " of ", x);
  GRAFT_CHECK(!first.empty() && first.front() == 0 && std::is_sorted(first.begin(), first.end()) &&
                  weights.size() == positions.size() &&
                  first.back() == static_cast<int64_t>(positions.size()),
              "resample: lists of ", first.size(), ", ", positions.size(), " and ", weights.size(),
              " do not fit");
  for (const int64_t position : positions)
    GRAFT_CHECK(position >= 0 && position < x[axis], "resample: position ", position, " on axis ",
                axis, " of ", x);
  return x.with(axis, static_cast<int64_t>(first.size()) - 1);
}

Shape pool_output_shape(const char* op, const Shape& x, const Window& window, bool ceil_mode) {
  GRAFT_CHECK(window.axes >= 1 && window.axes <= 3 && x.rank() == window.axes + 2, op, ": input ",
              x, " does not have ", window.axes, " spatial axes");
  Shape y = x;
  for (int axis = 0; axis < window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    GRAFT_CHECK(window.pad_begin[i] < window.dilation[i] * (window.kernel[i] - 1) + 1 ||
                    window.pad_begin[i] == 0,
                op, ": padding ", window.pad_begin[i], " is not smaller than the window");
    y = y.with(axis + 2, window_output_extent(op, window, axis, x[axis + 2], ceil_mode));
  }
  return y;
}

Shape adaptive_pool_output_shape(const Shape& x, const AdaptiveAveragePoolAttributes& attributes) {
  GRAFT_CHECK(x.rank() >= 3 && x.rank() <= 5, "adaptive_average_pool: input ", x,
              " needs 1 to 3 spatial axes");
  Shape y = x;
  for (int axis = 2; axis < x.rank(); ++axis) {
    const int64_t out = attributes.output[static_cast<size_t>(axis - 2)];
    GRAFT_CHECK(out >= 1 && x[axis] >= 1, "adaptive_average_pool: cannot pool ", x, " to extent ",
                out);
    y = y.with(axis, out);
  }
  return y;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  int64_t extents[Shape::max_rank] = {};
  for (int axis = 0; axis < rank; ++axis) {
    const int ia = axis - (rank - a.rank()), ib = axis - (rank - b.rank());
    const int64_t ea = ia < 0 ? 1 : a[ia], eb = ib < 0 ? 1 : b[ib];
    GRAFT_CHECK(ea == eb || ea == 1 || eb == 1, "shapes ", a, " and ", b, " do not broadcast");
    extents[axis] = ea == 1 ? eb : ea;
  }
  return Shape(std::span<const int64_t>(extents, static_cast<size_t>(rank)));
}

Shape concat_output_shape(std::span<const Tensor> inputs, int axis) {
  GRAFT_CHECK(!inputs.empty(), "concat: no inputs");
  const Shape& first = inputs[0].shape();
  GRAFT_CHECK(axis >= 0 && axis < first.rank(), "concat: axis ", axis, " is outside of ", first);
  int64_t total = 0;
  for (const Tensor& input : inputs) {
    GRAFT_CHECK(input.rank() == first.rank() && input.shape().with(axis, first[axis]) == first &&
                    input.dtype() == inputs[0].dtype() && input.format() == inputs[0].format(),
                "concat: ", input.shape(), " does not fit ", first, " on axis ", axis);
    total = checked_add(total, input.shape()[axis]);
  }
  return first.with(axis, total);
}

Shape pad_output_shape(const Shape& x, const PadAttributes& attributes) {
  const auto rank = static_cast<size_t>(x.rank());
  GRAFT_CHECK(attributes.begin.size() == rank && attributes.end.size() == rank,
              "pad: ", attributes.begin.size(), " amounts for ", x);
  Shape y = x;
  for (size_t axis = 0; axis < rank; ++axis) {
    const int at = static_cast<int>(axis);
    const int64_t extent =
        checked_add(checked_add(x[at], attributes.begin[axis]), attributes.end[axis]);
    GRAFT_CHECK(extent >= 0, "pad: amounts crop more of ", x, " than there is");
    y = y.with(at, extent);
  }
  return y;
}

Shape take_output_shape(const Shape& x, const TakeAttributes& attributes) {
  GRAFT_CHECK(attributes.axes.size() <= static_cast<size_t>(Shape::max_rank), "take: more than ",
              Shape::max_rank, " axes");
  bool walked[Shape::max_rank] = {};
  int64_t extents[Shape::max_rank] = {};
  size_t rank = 0;
  for (const AxisTake& axis : attributes.axes) {
    int64_t& extent = extents[rank++];
    if (axis.from < 0) {
      extent = axis.extent;
      continue;
    }
    GRAFT_CHECK(axis.from < x.rank() && !walked[axis.from], "take: axis ", axis.from, " of ", x,
                " does not exist or is walked twice");
    walked[axis.from] = true;
    extent = axis.whole ? x[axis.from] : static_cast<int64_t>(axis.positions.size());
    for (const int64_t position : axis.positions)
      GRAFT_CHECK(axis.whole || (position >= -1 && position < x[axis.from]), "take: position ",
                  position, " on axis ", axis.from, " of ", x);
  }
  for (int axis = 0; axis < x.rank(); ++axis)
    GRAFT_CHECK(walked[axis] || x[axis] == 1, "take: axis ", axis, " of ", x, " is not walked");
  return Shape(std::span<const int64_t>(extents, rank));
}

Shape reduce_output_shape(const Shape& x, const ReduceAttributes& attributes, bool keep_axes) {
  bool reduced[Shape::max_rank] = {};
  for (const int axis : attributes.axes) {
    const int at = axis < 0 ? axis + x.rank() : axis;
    GRAFT_CHECK(at >= 0 && at < x.rank() && !reduced[at], "reduce: axis ", axis, " of ", x);
    reduced[at] = true;
  }
  int64_t extents[Shape::max_rank] = {};
  size_t rank = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool gone = attributes.axes.empty() || reduced[axis];
    if (!gone)
      extents[rank++] = x[axis];
    else if (keep_axes)
      extents[rank++] = 1;
  }
  return Shape(std::span<const int64_t>(extents, rank));
}

}  // namespace graft::ops
