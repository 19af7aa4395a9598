// Changes of shape: the elements stay in their order, or axes change places.
#include <algorithm>
#include <numeric>

#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integers_attribute;

const ExportedArgument* list_of(AtenCall& call) {
  for (const char* name : {"size", "shape"})
    if (const ExportedArgument* list = call.find(name))
      if (list->kind == io::ExportedKind::integers) return list;
  return nullptr;
}

void view(AtenCall& call) {
  if (call.find("dtype")) call.refuse("a view as another element type");
  call.reshape("self", call.tensor("self"), list_of(call));
}

void flatten(AtenCall& call) {
  const int64_t rank = call.rank("self");
  const int64_t begin = call.axis("start_dim", call.rank("self"), 0),
                end = call.axis("end_dim", call.rank("self"), -1);
  if (begin == 1 && end == rank - 1 && call.result().free_axes() != 1) {
    const int batch = call.building().batch_axis(call.program_name("self"));
    call.finish(call.add("Flatten", {call.tensor("self")}));
    if (batch == 0) call.set_batch(0);
    return;
  }
  call.reshape("self", call.tensor("self"));
}

void put_axes(AtenCall& call, const char* op, const std::vector<int64_t>& axes) {
  const int batch = call.building().batch_axis(call.program_name("self"));
  call.finish(call.add(op, {call.tensor("self"), call.numbers(axes)}));
  if (batch == kNoBatch) return;
  // Axes counted in the longer of the two shapes.
  int at = batch;
  if (std::string(op) == "Unsqueeze") {
    for (int axis = 0; axis <= at; ++axis)
      if (std::find(axes.begin(), axes.end(), axis) != axes.end()) ++at;
  } else {
    if (std::find(axes.begin(), axes.end(), at) != axes.end()) return;
    at -= static_cast<int>(
        std::count_if(axes.begin(), axes.end(), [&](int64_t axis) { return axis < batch; }));
  }
  call.set_batch(at);
}

void unsqueeze(AtenCall& call) {
  put_axes(call, "Unsqueeze", {call.axis("dim", call.rank("self") + 1)});
}

// Axes that are not 1 stay.
void squeeze(AtenCall& call) {
  const ExportedMeta& x = call.meta("self");
  const int rank = call.rank("self");
  std::vector<int64_t> axes;
  if (!call.find("dim")) {
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
  } else {
    for (int64_t axis : call.integers("dim")) {
      if (axis < -rank || axis >= rank) call.refuse(str("axis ", axis));
      axes.push_back(axis < 0 ? axis + rank : axis);
    }
  }
  std::erase_if(axes, [&](int64_t axis) { return x.sizes[static_cast<size_t>(axis)] != 1; });
  if (axes.empty()) return call.pass("self");
  put_axes(call, "Squeeze", axes);
}

void order_axes(AtenCall& call, const std::vector<int64_t>& order) {
  const std::string& self = call.program_name("self");
  const int batch = call.building().batch_axis(self);
  const std::string value = call.tensor("self");
  call.finish(call.add("Transpose", {value}, {integers_attribute("perm", order)}));
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] == batch)
      call.set_batch(static_cast<int>(i), 0, call.building().known.at(self).before);
  if (order == std::vector<int64_t>{1, 0})
    call.building().known[call.node().outputs.at(0)].transposed = value;
}

void permute(AtenCall& call) {
  const int rank = call.rank("self");
  std::vector<int64_t> order = call.integers("dims", {}, static_cast<size_t>(rank));
  for (int64_t& axis : order) {
    if (axis < -rank || axis >= rank) call.refuse(str("axis ", axis));
    if (axis < 0) axis += rank;
  }
  order_axes(call, order);
}

void transpose(AtenCall& call) {
  const int rank = call.rank("self");
  std::vector<int64_t> order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  const bool axes = call.find("axis0") != nullptr;
  if (rank > 0)
    std::swap(order[static_cast<size_t>(call.axis(axes ? "axis0" : "dim0", rank))],
              order[static_cast<size_t>(call.axis(axes ? "axis1" : "dim1", rank))]);
  order_axes(call, order);
}

void t(AtenCall& call) {
  if (call.rank("self") != 2) return call.pass("self");
  order_axes(call, {1, 0});
}

// Its sizes, with those that follow the batch of the images.
void expand(AtenCall& call) {
  const ExportedArgument* list = call.find("size");
  const ExportedMeta& x = call.meta("self");
  if (!list || list->kind != io::ExportedKind::integers) call.refuse("its size is no list");
  Building& b = call.building();
  std::vector<std::string> parts;
  bool computed = false;
  const size_t more = list->integers.size() - std::min(list->integers.size(), x.sizes.size());
  const bool follows = b.batch > 0 && b.batch_axis(call.program_name("self")) == kNoBatch &&
                       !list->integers.empty() && list->integers[0] == b.batch && more == 0 &&
                       x.sizes[0] == 1 && !b.image.empty();
  if (!follows && x.free_axes() <= 1 && x.sizes == call.result().sizes) return call.pass("self");
  for (size_t i = 0; i < list->integers.size(); ++i) {
    const bool symbol = i < list->texts.size() && !list->texts[i].empty();
    computed = computed || symbol;
    if (symbol)
      parts.push_back(call.value_of(list->texts[i]));
    else if (i == 0 && follows)
      parts.push_back(call.add(
          "Shape", {b.image},
          {io::onnx::integer_attribute("start", 0), io::onnx::integer_attribute("end", 1)}));
    else
      parts.push_back(call.numbers({std::max<int64_t>(list->integers[i], 1)}));
  }
  const int batch = follows ? 0 : call.building().batch_axis(call.program_name("self"));
  b.followed_batches += follows;
  const std::string shape =
      parts.size() == 1 ? parts[0]
                        : call.add("Concat", parts, {io::onnx::integer_attribute("axis", 0)});
  call.finish(call.add("Expand", {call.tensor("self"), shape}));
  if (batch != kNoBatch) call.set_batch(batch + static_cast<int>(more));
  if (x.sizes.size() == 2 && more > 0)
    b.known[call.node().outputs.at(0)].transposed = b.known[call.program_name("self")].transposed;
}

void expand_as(AtenCall& call) {
  call.finish(call.add("Expand", {call.tensor("self"), call.add("Shape", {call.tensor("other")})}));
  call.set_batch(call.building().batch_axis(call.program_name("other")));
}

void pixel_shuffle(AtenCall& call) {
  Attribute mode;
  mode.name = "mode";
  mode.type = io::onnx::AttributeType::string;
  mode.s = "CRD";
  call.finish(
      call.add("DepthToSpace", {call.tensor("self")},
               {io::onnx::integer_attribute("blocksize", call.integer("upscale_factor")), mode}));
}

constexpr AtenOperator kShapes[] = {
    {"view", view, true},
    {"_unsafe_view", view},
    {"reshape", view, true},
    {"view_as", view, true},
    {"unflatten", view, true},
    {"flatten", flatten, true},
    {"squeeze", squeeze, true},
    {"unsqueeze", unsqueeze, true},
    {"permute", permute, true},
    {"transpose", transpose, true},
    {"swapaxes", transpose, true},
    {"swapdims", transpose, true},
    {"t", t, true},
    {"expand", expand, true},
    {"expand_as", expand_as, true},
    {"pixel_shuffle", pixel_shuffle},
};

}  // namespace

AtenTable aten_shapes() { return kShapes; }

}  // namespace graft::models::aten
