// Operators that change shapes or tell them: reshaping, concatenation, padding.
#include <algorithm>

#include "graft/layers/functional/shape_change.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// 0 copies the input's extent (unless allowzero), -1 takes what is left. A graph made for a fixed
// batch size reshapes to that size: where the count of elements shows that the batch is another
// one, the batch is kept.
OpOutputs reshape_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> extents = call.numbers_or_attribute(1, "shape");
  const bool zero_copies = call.integer("allowzero", 0) == 0;
  const int64_t declared = call.mode().declared_batch;
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 0 && zero_copies) {
      GRAFT_CHECK(static_cast<int>(i) < x.rank(), "shape [", join(extents),
                  "] copies an axis that ", x.shape(), " has not");
      extents[i] = x.shape()[static_cast<int>(i)];
    }
    GRAFT_CHECK(extents[i] >= -1 && !(extents[i] == -1 && unknown >= 0), "shape [", join(extents),
                "]");
    if (extents[i] == -1)
      unknown = static_cast<int64_t>(i);
    else
      known = checked_mul(known, extents[i]);
  }
  const int64_t batch = x.rank() > 0 ? x.shape()[0] : 0;
  if (declared > 0 && batch > 0 && batch != declared && !extents.empty() &&
      extents[0] == declared) {
    const int64_t each = known / declared;
    if (unknown > 0 ? each > 0 && (x.numel() / batch) % each == 0
                    : known != x.numel() && each * batch == x.numel()) {
      extents[0] = batch;
      known = each * batch;
    }
  }
  if (unknown >= 0) {
    GRAFT_CHECK(known > 0 && x.numel() % known == 0, x.shape(), " cannot become [", join(extents),
                "]");
    extents[static_cast<size_t>(unknown)] = x.numel() / known;
  }
  return {functional::reshape(x, Shape(extents))};
}

OpOutputs flatten_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int64_t given = call.integer("axis", 1);
  const int axis = given == x.rank() ? x.rank() : at_axis(given, x.rank());
  return {functional::reshape(x, {x.shape().product(0, axis), x.shape().product(axis, x.rank())})};
}

OpOutputs squeeze_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  bool found = false;
  const std::vector<int64_t> axes = call.numbers_or_attribute(1, "axes", &found);
  std::vector<bool> gone(static_cast<size_t>(x.rank()));
  for (int axis = 0; axis < x.rank(); ++axis)
    gone[static_cast<size_t>(axis)] = !found && x.shape()[axis] == 1;
  for (const int64_t axis : axes) {
    const int at = at_axis(axis, x.rank());
    GRAFT_CHECK(x.shape()[at] == 1, "axis ", axis, " of ", x.shape(), " is not 1");
    gone[static_cast<size_t>(at)] = true;
  }
  std::vector<int64_t> extents;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (!gone[static_cast<size_t>(axis)]) extents.push_back(x.shape()[axis]);
  return {functional::reshape(x, Shape(extents))};
}

OpOutputs unsqueeze_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> axes = call.numbers_or_attribute(1, "axes");
  const int rank = x.rank() + static_cast<int>(axes.size());
  GRAFT_CHECK(rank <= Shape::max_rank, "a result of rank ", rank);
  std::vector<int64_t> extents(static_cast<size_t>(rank), 0);
  for (const int64_t axis : axes) {
    int64_t& extent = extents[static_cast<size_t>(at_axis(axis, rank))];
    GRAFT_CHECK(extent == 0, "axes [", join(axes), "] repeat one");
    extent = 1;
  }
  int from = 0;
  for (int64_t& extent : extents)
    if (extent == 0) extent = x.shape()[from++];
  // An axis that was 0 long reads as not set; its place is filled from x all the same.
  return {functional::reshape(x, Shape(extents))};
}

OpOutputs concat_op(const OpCall& call) {
  const int axis = at_axis(call.integer("axis", 1), call.in(0).rank());
  for (size_t i = 0; i < call.inputs(); ++i) call.in(i);
  return {functional::concat(call.all(), axis)};
}

OpOutputs identity_op(const OpCall& call) { return {call.in(0)}; }

OpOutputs shape_op(const OpCall& call) {
  const Shape& shape = call.in(0).shape();
  const auto clamped = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + shape.rank() : at, 0, shape.rank());
  };
  const int64_t begin = clamped(call.integer("start", 0)),
                end = clamped(call.integer("end", shape.rank()));
  return {tensor_of({shape.begin() + begin, shape.begin() + std::max(begin, end)})};
}

OpOutputs size_op(const OpCall& call) {
  return {Tensor::full(Shape(), static_cast<double>(call.in(0).numel()), {.dtype = DType::i64})};
}

constexpr Operator kShapeOperators[] = {
    reading({"Reshape", reshape_op, "allowzero shape consumed_inputs", Layout::any}, {1}),
    {"Flatten", flatten_op, "axis", Layout::any},
    reading({"Squeeze", squeeze_op, "axes", Layout::any}, {1}),
    reading({"Unsqueeze", unsqueeze_op, "axes", Layout::any}, {1}),
    {"Concat", concat_op, "axis", Layout::uniform},
    {"Identity", identity_op, "", Layout::any},
    {"Shape", shape_op, "start end", Layout::any},
    {"Size", size_op, "", Layout::any},
};

}  // namespace

OperatorTable shape_operators() { return kShapeOperators; }

}  // namespace graft::models::graph
