// Layers that move values, in Keras' order of axes, and those that do nothing.
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"

namespace graft::models::keras {
namespace {

int64_t product_of(const std::vector<int64_t>& dims, size_t begin) {
  int64_t product = 1;
  for (size_t axis = begin; axis < dims.size(); ++axis) {
    if (dims[axis] < 0) return -1;
    product = checked_mul(product, dims[axis]);
  }
  return product;
}

Value same(LayerCall& call) { return call.in(); }

Value flatten(LayerCall& call) {
  Value in = call.writer.in_order(call.in());
  if (in.rank() == 2) return in;
  if (in.rank() == 1) {
    in.dims.push_back(1);
    in.name = call.writer.node("Unsqueeze", {in.name, call.writer.numbers({1})});
    return in;
  }
  if (call.settings().text("data_format", "channels_last") == "channels_first") {
    std::vector<int64_t> order{0};  // Keras puts the channels last here too
    for (size_t axis = 2; axis < in.rank(); ++axis) order.push_back(static_cast<int64_t>(axis));
    order.push_back(1);
    in.name = call.writer.node("Transpose", {in.name}, {ints("perm", order)});
  }
  Value out = call.with_name(in, call.writer.node("Flatten", {in.name}, {integer("axis", 1)}));
  out.dims = {in.dims[0], product_of(in.dims, 1)};
  return out;
}

Value reshape(LayerCall& call) {
  const Value in = call.writer.in_order(call.in());
  std::vector<int64_t> shape{0}, target = call.settings().integers("target_shape", {});
  Value out = call.with_name(in, "");
  out.dims = {in.dims[0]};
  const int64_t all = product_of(in.dims, 1);
  int64_t others = 1, open = 0;
  for (const int64_t extent : target) {
    GRAFT_CHECK(extent >= 1 || extent == -1, "its target_shape has an extent of ", extent);
    if (extent > 0) others = checked_mul(others, extent);
    open += extent < 0;
  }
  GRAFT_CHECK(open <= 1 && target.size() <= 7, "its target_shape is none");
  GRAFT_CHECK(all < 0 || (open == 0 ? others == all : all % others == 0), "its target_shape of ",
              others, " numbers does not fit ", all);
  for (const int64_t extent : target) {
    shape.push_back(extent);
    out.dims.push_back(extent > 0 ? extent : all < 0 ? -1 : all / others);
  }
  out.name = call.writer.node("Reshape", {in.name, call.writer.numbers(shape)});
  return out;
}

Value permute(LayerCall& call) {
  const Value in = call.writer.in_order(call.in());
  std::vector<int64_t> order{0};
  Value out = call.with_name(in, "");
  for (const int64_t axis : call.settings().integers("dims", {})) order.push_back(axis);
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool fits = order.size() == in.rank();
  for (size_t axis = 0; fits && axis < sorted.size(); ++axis)
    fits = sorted[axis] == static_cast<int64_t>(axis);
  GRAFT_CHECK(fits, "its dims are no order of the axes of a value of rank ", in.rank());
  for (size_t axis = 0; axis < order.size(); ++axis)
    out.dims[axis] = in.dims[static_cast<size_t>(order[axis])];
  out.name = call.writer.node("Transpose", {in.name}, {ints("perm", order)});
  return out;
}

Value repeat_vector(LayerCall& call) {
  const Value& in = call.in();
  const int64_t times = call.settings().integer("n", 1);
  GRAFT_CHECK(in.rank() == 2 && times >= 1 && times <= 1'000'000,
              "repeats vectors, and is given a value of rank ", in.rank(), " and ", times,
              " times");
  Writer& w = call.writer;
  const std::string row = w.node("Unsqueeze", {in.name, w.numbers({1})});
  Value out = call.with_name(in, w.node("Tile", {row, w.numbers({1, times, 1})}));
  out.dims = {in.dims[0], times, in.dims[1]};
  return out;
}

constexpr LayerKind kShapeLayers[] = {
    {"Flatten", flatten}, {"Reshape", reshape},
    {"Permute", permute}, {"RepeatVector", repeat_vector},
    {"Identity", same},
};

}  // namespace

LayerTable shape_layers() { return kShapeLayers; }

}  // namespace graft::models::keras
