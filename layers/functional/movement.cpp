// functional::take, its Node, and the functions that are a take.
#include "graft/layers/functional/movement.h"

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/take.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/axes.h"

namespace graft::functional {
namespace {

class TakeNode final : public Node {
 public:
  TakeNode(const Tensor& x, ops::TakeAttributes attributes)
      : shape_(x.shape()), options_(x.options()), attributes_(std::move(attributes)) {}
  const char* name() const override { return "take"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, options_);
    kernels_for<ops::TakeKernels>(dx).backward(current_context(), {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  Shape shape_;
  TensorOptions options_;
  ops::TakeAttributes attributes_;
};

// The take that changes nothing.
ops::TakeAttributes identity_take(const Shape& shape) {
  ops::TakeAttributes attributes;
  for (int axis = 0; axis < shape.rank(); ++axis)
    attributes.axes.push_back({.from = axis, .whole = true});
  return attributes;
}

ops::AxisTake& listed(ops::TakeAttributes& attributes, int axis) {
  ops::AxisTake& take = attributes.axes[static_cast<size_t>(axis)];
  take.whole = false;
  return take;
}

// The input position of a padded one on an axis of `extent`, or -1.
int64_t padded_position(int64_t at, int64_t extent, PadMode mode) {
  if (at >= 0 && at < extent) return at;
  switch (mode) {
    case PadMode::constant: return -1;
    case PadMode::edge: return at < 0 ? 0 : extent - 1;
    case PadMode::wrap: return (at % extent + extent) % extent;
    case PadMode::reflect: break;
  }
  if (extent == 1) return 0;
  const int64_t period = 2 * (extent - 1), folded = (at % period + period) % period;
  return folded < extent ? folded : period - folded;
}

Replay replay_take(const ReplaySite& site) {
  const auto a = site.as<ops::TakeAttributes>();
  if (a.axes.empty() || a.axes[0].from != 0 || !a.axes[0].whole) return Replay::mixes_samples();
  return {[a](const auto& in) { return take(in[0], a); }, {}};
}

}  // namespace

Tensor take(const Tensor& x, const ops::TakeAttributes& attributes) {
  Tensor y = Tensor::empty(ops::take_output_shape(x.shape(), attributes), x.options());
  kernels_for<ops::TakeKernels>(x).forward(current_context(), {x, attributes, y});
  return record(attributes, replay_take, {x}, y,
                [&] { return std::make_shared<TakeNode>(x, attributes); });
}

Tensor transpose(const Tensor& x, std::span<const int> order) {
  GRAFT_CHECK(order.empty() || static_cast<int>(order.size()) == x.rank(),
              "transpose: an order of ", order.size(), " axes for ", x.shape());
  ops::TakeAttributes attributes;
  bool identity = true;
  for (int i = 0; i < x.rank(); ++i) {
    const int from = order.empty() ? x.rank() - 1 - i
                                   : axis_of("transpose", order[static_cast<size_t>(i)], x.rank());
    attributes.axes.push_back({.from = from, .whole = true});
    identity = identity && from == i;
  }
  return identity ? x : take(x, attributes);
}

Tensor slice(const Tensor& x, const SliceRange& range) {
  const size_t count = range.starts.size();
  GRAFT_CHECK(range.ends.size() == count && (range.axes.empty() || range.axes.size() == count) &&
                  (range.steps.empty() || range.steps.size() == count) &&
                  static_cast<int>(count) <= x.rank(),
              "slice: ", count, " starts, ", range.ends.size(), " ends, ", range.axes.size(),
              " axes and ", range.steps.size(), " steps for ", x.shape());
  ops::TakeAttributes attributes = identity_take(x.shape());
  for (size_t i = 0; i < count; ++i) {
    const int axis =
        range.axes.empty() ? static_cast<int>(i) : axis_of("slice", range.axes[i], x.rank());
    const int64_t extent = x.shape()[axis], step = range.steps.empty() ? 1 : range.steps[i];
    GRAFT_CHECK(step != 0, "slice: a step of 0");
    GRAFT_CHECK(attributes.axes[static_cast<size_t>(axis)].whole, "slice: axis ", axis,
                " is named twice");
    // The first and last legal position; ends may lie one further.
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
    const auto clamped = [&](int64_t position) {
      return std::clamp(position < 0 ? position + extent : position, low, high);
    };
    std::vector<int64_t>& positions = listed(attributes, axis).positions;
    reserve_positions("slice", positions, extent);
    const int64_t start = clamped(range.starts[i]), end = clamped(range.ends[i]);
    if (step >= extent ||
        step <= -extent) {  // one element at most, and no overflow of start + step
      if (step > 0 ? start < end : start > end) positions.push_back(start);
    } else {
      for (int64_t at = start; step > 0 ? at < end : at > end; at += step) positions.push_back(at);
    }
  }
  return take(x, attributes);
}

std::vector<Tensor> split(const Tensor& x, std::span<const int64_t> sizes, int axis) {
  const int at = axis_of("split", axis, x.rank());
  int64_t total = 0;
  for (const int64_t size : sizes) {
    GRAFT_CHECK(size >= 0, "split: a part of ", size);
    total = checked_add(total, size);
  }
  GRAFT_CHECK(total == x.shape()[at], "split: parts of ", total, " in all on axis ", at, " of ",
              x.shape());
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    parts.push_back(slice(x, {{begin}, {begin + size}, {at}}));
    begin += size;
  }
  return parts;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  const Shape result = ops::broadcast_shape(x.shape(), shape);
  if (result == x.shape()) return x;
  ops::TakeAttributes attributes;
  const int added = result.rank() - x.rank();
  for (int i = 0; i < result.rank(); ++i) {
    const int from = i - added;
    if (from < 0 || x.shape()[from] != result[i])
      attributes.axes.push_back({.extent = result[i]});
    else
      attributes.axes.push_back({.from = from, .whole = true});
  }
  return take(x, attributes);
}

Tensor tile(const Tensor& x, std::span<const int64_t> repeats) {
  GRAFT_CHECK(static_cast<int>(repeats.size()) == x.rank(), "tile: ", repeats.size(),
              " repeats for ", x.shape());
  ops::TakeAttributes attributes = identity_take(x.shape());
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t count = repeats[static_cast<size_t>(axis)], extent = x.shape()[axis];
    GRAFT_CHECK(count >= 0, "tile: ", count, " repeats");
    if (count == 1) continue;
    const int64_t total = Shape{count, extent}.numel();
    std::vector<int64_t>& positions = listed(attributes, axis).positions;
    reserve_positions("tile", positions, total);
    for (int64_t i = 0; i < total; ++i) positions.push_back(i % extent);
  }
  return take(x, attributes);
}

Tensor reverse(const Tensor& x, std::span<const int> axes) {
  ops::TakeAttributes attributes = identity_take(x.shape());
  for (const int axis : axes) {
    const int at = axis_of("reverse", axis, x.rank());
    std::vector<int64_t>& positions = listed(attributes, at).positions;
    positions.clear();
    reserve_positions("reverse", positions, x.shape()[at]);
    for (int64_t i = x.shape()[at]; i-- > 0;) positions.push_back(i);
  }
  return take(x, attributes);
}

Tensor pad(const Tensor& x, std::span<const int64_t> begin, std::span<const int64_t> end,
           PadMode mode, double value) {
  GRAFT_CHECK(static_cast<int>(begin.size()) == x.rank() && end.size() == begin.size(),
              "pad: ", begin.size(), " and ", end.size(), " amounts for ", x.shape());
  const ops::PadAttributes amounts{{begin.begin(), begin.end()}, {end.begin(), end.end()}, value};
  if (mode == PadMode::constant) return pad(x, amounts);
  const Shape shape = ops::pad_output_shape(x.shape(), amounts);
  ops::TakeAttributes attributes = identity_take(x.shape());
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t before = begin[static_cast<size_t>(axis)], after = end[static_cast<size_t>(axis)];
    if (before == 0 && after == 0) continue;
    // What is left after cropping is what edges, mirrors and periods are of.
    const int64_t first = std::max<int64_t>(0, -before),
                  kept = x.shape()[axis] - first - std::max<int64_t>(0, -after);
    GRAFT_CHECK(kept > 0 || shape[axis] == 0, "pad: no element is left on axis ", axis, " of ",
                x.shape());
    std::vector<int64_t>& positions = listed(attributes, axis).positions;
    reserve_positions("pad", positions, shape[axis]);
    for (int64_t i = 0; i < shape[axis]; ++i)
      positions.push_back(first + padded_position(i - std::max<int64_t>(0, before), kept, mode));
  }
  return take(x, attributes);
}

}  // namespace graft::functional
