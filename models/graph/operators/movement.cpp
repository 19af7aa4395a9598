// Operators that move elements: transposition, slices, padding, repetition.
#include "graft/layers/functional/movement.h"

#include "graft/layers/functional/binary.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

std::vector<int> axes_list(const std::vector<int64_t>& axes) { return {axes.begin(), axes.end()}; }

OpOutputs transpose_op(const OpCall& call) {
  for (const int64_t axis : call.integers("perm")) at_axis(axis, call.in(0).rank());
  return {functional::transpose(call.in(0), axes_list(call.integers("perm")))};
}

// Attributes before opset 10, inputs since.
OpOutputs slice_op(const OpCall& call) {
  functional::SliceRange range{
      call.numbers_or_attribute(1, "starts"), call.numbers_or_attribute(2, "ends"), {}, {}};
  for (const int64_t axis : call.numbers_or_attribute(3, "axes"))
    range.axes.push_back(at_axis(axis, call.in(0).rank()));
  if (call.has(4)) range.steps = call.numbers(4);
  return {functional::slice(call.in(0), range)};
}

// Sizes from the input (opset 13), the attribute before, or equal parts, of which the last may be
// smaller.
OpOutputs split_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int axis = at_axis(call.integer("axis", 0), x.rank());
  bool found = false;
  std::vector<int64_t> sizes = call.numbers_or_attribute(1, "split", &found);
  if (!found) {
    const int64_t parts = std::ssize(call.node().outputs);
    GRAFT_CHECK(call.integer("num_outputs", parts) == parts, "num_outputs is ",
                call.integer("num_outputs", parts), ", the node has ", parts);
    const int64_t each = ceil_div(x.shape()[axis], std::max<int64_t>(parts, 1));
    for (int64_t left = x.shape()[axis], i = 0; i < parts; left -= each, ++i)
      sizes.push_back(std::clamp<int64_t>(left, 0, each));
  }
  return functional::split(x, sizes, axis);
}

OpOutputs expand_op(const OpCall& call) {
  const Shape shape(call.numbers(1));
  call.check_size(ops::broadcast_shape(call.in(0).shape(), shape).numel());
  return {functional::expand(call.in(0), shape)};
}

OpOutputs tile_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> repeats;
  if (call.opset() < 6) {  // tiles and axis: one axis at a time
    repeats.assign(static_cast<size_t>(x.rank()), 1);
    repeats[static_cast<size_t>(at_axis(call.number(2), x.rank()))] = call.number(1);
  } else {
    repeats = call.numbers(1);
  }
  int64_t elements = x.numel();
  for (const int64_t r : repeats) elements = checked_mul(elements, std::max<int64_t>(r, 0));
  call.check_size(elements);
  return {functional::tile(x, repeats)};
}

functional::PadMode pad_mode(const std::string& name) {
  if (name == "constant") return functional::PadMode::constant;
  if (name == "reflect") return functional::PadMode::reflect;
  if (name == "edge") return functional::PadMode::edge;
  if (name == "wrap") return functional::PadMode::wrap;
  bad_input("mode ", name);
}

// Attributes before opset 11 (called paddings before 2); inputs pads, value and, since 18, axes.
OpOutputs pad_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const auto rank = static_cast<size_t>(x.rank());
  const std::vector<int64_t> amounts =
      call.numbers_or_attribute(1, call.given("paddings") ? "paddings" : "pads");
  std::vector<int64_t> axes;
  if (call.has(3))
    axes = call.numbers(3);
  else
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  GRAFT_CHECK(amounts.size() == 2 * axes.size(), "pads [", join(amounts), "] for ", axes.size(),
              " axes");
  std::vector<int64_t> begin(rank), end(rank);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(at_axis(axes[i], x.rank()));
    begin[at] = amounts[i];
    end[at] = amounts[axes.size() + i];
    call.check_size(checked_add(checked_add(begin[at], end[at]), x.shape()[static_cast<int>(at)]));
  }
  const double value = call.has(2) ? call.in(2).item() : call.real("value", 0);
  return {functional::pad(x, begin, end, pad_mode(call.text("mode", "constant")), value)};
}

// The axes' extents cut or padded with zeros, evenly at both sides.
OpOutputs center_crop_pad(const OpCall& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> wanted = call.numbers(1);
  std::vector<int64_t> axes = call.integers("axes"), begin(static_cast<size_t>(x.rank())),
                       end(static_cast<size_t>(x.rank()));
  if (axes.empty())
    for (int axis = 0; axis < x.rank(); ++axis) axes.push_back(axis);
  GRAFT_CHECK(axes.size() == wanted.size(), wanted.size(), " extents for ", axes.size(), " axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(at_axis(axes[i], x.rank()));
    GRAFT_CHECK(wanted[i] >= 0, "an extent of ", wanted[i]);
    call.check_size(wanted[i]);
    const int64_t more = wanted[i] - x.shape()[static_cast<int>(at)];
    begin[at] = more >= 0 ? more / 2 : -(-more / 2);
    end[at] = more - begin[at];
  }
  return {functional::pad(x, begin, end, functional::PadMode::constant)};
}

OpOutputs depth_to_space_op(const OpCall& call) {
  const std::string mode = call.text("mode", "DCR");
  GRAFT_CHECK(mode == "DCR" || mode == "CRD", "mode ", mode);
  return {functional::depth_to_space(call.in(0), call.integer("blocksize"), mode == "CRD")};
}

OpOutputs space_to_depth_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int64_t b = call.integer("blocksize");
  const std::string mode = call.text("mode", "DCR");
  GRAFT_CHECK(mode == "DCR" || mode == "CRD", "mode ", mode);
  if (mode == "DCR") return {functional::space_to_depth(x, b)};
  GRAFT_CHECK(x.rank() == 4 && b >= 1 && x.shape()[2] % b == 0 && x.shape()[3] % b == 0,
              "blocks of ", b, " in ", x.shape());
  const int64_t N = x.shape()[0], C = x.shape()[1], H = x.shape()[2] / b, W = x.shape()[3] / b;
  const int order[] = {0, 1, 3, 5, 2, 4};
  return {
      functional::reshape(functional::transpose(functional::reshape(x, {N, C, H, b, W, b}), order),
                          {N, C * b * b, H, W})};
}

OpOutputs trilu_op(const OpCall& call) {
  return {functional::trilu(call.in(0), call.integer("upper", 1) != 0,
                            call.has(1) ? call.number(1) : 0)};
}

constexpr Operator kMovement[] = {
    {"Transpose", transpose_op, "perm"},
    reading({"Slice", slice_op, "starts ends axes", Layout::any}, {1, 2, 3, 4}),
    reading({"Split", split_op, "axis split num_outputs", Layout::any}, {1}),
    reading({"Expand", expand_op, ""}, {1}),
    reading({"Tile", tile_op, ""}, {1, 2}),
    reading({"Pad", pad_op, "mode pads paddings value", Layout::any}, {1, 2, 3}),
    reading({"CenterCropPad", center_crop_pad, "axes"}, {1}),
    {"DepthToSpace", depth_to_space_op, "blocksize mode"},
    {"SpaceToDepth", space_to_depth_op, "blocksize mode"},
    reading({"Trilu", trilu_op, "upper"}, {1}),
};

}  // namespace

OperatorTable movement_operators() { return kMovement; }

}  // namespace graft::models::graph
