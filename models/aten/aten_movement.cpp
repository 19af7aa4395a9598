// Parts of tensors, tensors put together, tables, padding.
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;

int batch_of_self(AtenCall& call) { return call.building().batch_axis(call.program_name("self")); }

std::string slice_of(AtenCall& call, const std::string& x, int64_t axis, int64_t begin, int64_t end,
                     int64_t step = 1) {
  return call.add("Slice", {x, call.numbers({begin}), call.numbers({end}), call.numbers({axis}),
                            call.numbers({step})});
}

// What of its base a slice is, for changes in place.
void note_slice(AtenCall& call, std::array<int64_t, 4> part) {
  Building& b = call.building();
  const Known from = b.known.at(call.program_name("self"));
  Known& to = b.known.at(call.node().outputs.at(0));
  to.base = from.base.empty() ? call.program_name("self") : from.base;
  if (from.slices.size() >= 8) return;
  to.slices = from.slices;
  to.slices.push_back(part);
}

void slice(AtenCall& call) {
  const int rank = call.rank("self");
  const int64_t axis = call.axis("dim", rank, 0);
  const auto bound = [&](const char* name, int64_t otherwise) -> std::string {
    const ExportedArgument* given = call.find(name);
    return given ? call.size_value(*given) : call.numbers({otherwise});
  };
  const std::string begin = bound("start", 0), end = bound("end", INT64_MAX);
  const int64_t step = call.integer("step", 1);
  const int batch = batch_of_self(call);
  call.finish(call.add(
      "Slice", {call.tensor("self"), begin, end, call.numbers({axis}), call.numbers({step})}));
  if (batch != axis) call.set_batch(batch);
  const auto fixed = [&](const char* name) {
    const ExportedArgument* given = call.find(name);
    return !given || given->kind == io::ExportedKind::integer;
  };
  if (fixed("start") && fixed("end"))
    note_slice(call, {axis, call.integer("start", 0), call.integer("end", INT64_MAX), step});
}

void select(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"));
  const int batch = batch_of_self(call);
  const std::string index = call.number(static_cast<double>(call.integer("index")), 5);
  call.finish(call.add("Gather", {call.tensor("self"), index}, {integer_attribute("axis", axis)}));
  if (batch != kNoBatch && batch != axis) call.set_batch(batch - (axis < batch));
}

void narrow(AtenCall& call) {
  const int64_t begin = call.integer("start");
  call.finish(slice_of(call, call.tensor("self"), call.axis("dim", call.rank("self")), begin,
                       checked_add(begin, call.integer("length"))));
}

void split_into(AtenCall& call, int64_t axis, const std::vector<int64_t>& sizes) {
  const int batch = batch_of_self(call);
  const std::string x = call.tensor("self");
  if (sizes.size() != call.node().outputs.size())
    call.refuse(str(sizes.size(), " parts for ", call.node().outputs.size(), " results"));
  const std::vector<std::string> parts = call.add_several(
      "Split", {x, call.numbers(sizes)}, sizes.size(), {integer_attribute("axis", axis)});
  for (size_t i = 0; i < parts.size(); ++i) {
    call.finish(parts[i], i);
    if (batch != axis) call.set_batch(batch, i);
  }
}

constexpr int64_t kMostParts = 65'536;

void split_evenly(AtenCall& call, int64_t axis, int64_t each) {
  const int64_t whole = call.size("self", static_cast<int>(axis));
  if (each < 1 || whole / each > kMostParts) call.refuse(str("parts of ", each));
  std::vector<int64_t> sizes;
  for (int64_t left = whole; left > 0; left -= each) sizes.push_back(std::min(left, each));
  split_into(call, axis, sizes);
}
void chunk(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"), 0), count = call.integer("chunks");
  if (count < 1) call.refuse(str(count, " parts"));
  const int64_t whole = call.size("self", static_cast<int>(axis));
  split_evenly(call, axis, std::max<int64_t>(whole / count + (whole % count != 0), 1));
}
void split(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"), 0);
  const char* each = call.find("split_size") ? "split_size" : "split_sizes";
  const ExportedArgument* given = call.find(each);
  if (given && given->kind == io::ExportedKind::integers)
    return split_into(call, axis, call.integers(each));
  split_evenly(call, axis, call.integer(each));
}

void unbind(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"), 0);
  const int batch = batch_of_self(call);
  const std::string x = call.tensor("self");
  if (call.size("self", static_cast<int>(axis)) != std::ssize(call.node().outputs))
    call.refuse("as many results as entries are wanted");
  for (size_t i = 0; i < call.node().outputs.size(); ++i) {
    const std::string index = call.number(static_cast<double>(i), 5);
    call.finish(call.add("Gather", {x, index}, {integer_attribute("axis", axis)}), i);
    if (batch != kNoBatch && batch != axis) call.set_batch(batch - (axis < batch), i);
  }
}

std::vector<std::string> values_in(AtenCall& call, int64_t type) {
  std::vector<std::string> values;
  for (const std::string& name : call.program_names("tensors")) {
    if (name.empty()) call.refuse("a list with a gap");
    const ExportedMeta& meta = call.building().meta(name);
    if (meta.sizes.size() == 1 && meta.sizes[0] == 0) continue;  // torch's old "nothing"
    const std::string value = call.value_of(name);
    values.push_back(onnx_type(meta.type) == onnx_type(type) ? value : call.cast(value, type));
  }
  if (values.empty()) call.refuse("nothing to put together");
  return values;
}

void cat(AtenCall& call) {
  const int64_t axis = call.axis("dim", static_cast<int>(call.result().sizes.size()), 0);
  call.finish(
      call.add("Concat", values_in(call, call.result().type), {integer_attribute("axis", axis)}));
}

void stack(AtenCall& call) {
  const int64_t axis = call.axis("dim", static_cast<int>(call.result().sizes.size()), 0);
  std::vector<std::string> values = values_in(call, call.result().type);
  const std::string axes = call.numbers({axis});
  for (std::string& value : values) value = call.add("Unsqueeze", {value, axes});
  const int batch = call.building().batch_axis(call.program_names("tensors")[0]);
  call.finish(call.add("Concat", values, {integer_attribute("axis", axis)}));
  if (batch != kNoBatch) call.set_batch(batch + (axis <= batch));
}

// The last `shift` entries first.
void roll(AtenCall& call) {
  const std::vector<int64_t> shifts = call.integers("shifts"), axes = call.integers("dims");
  if (axes.size() != shifts.size()) call.refuse("shifts without their axes");
  const int rank = call.rank("self");
  std::string value = call.tensor("self");
  for (size_t i = 0; i < shifts.size(); ++i) {
    if (axes[i] < -rank || axes[i] >= rank) call.refuse(str("axis ", axes[i]));
    const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    const int64_t whole = call.size("self", static_cast<int>(axis));
    const int64_t shift = whole > 0 ? (shifts[i] % whole + whole) % whole : 0;
    if (shift == 0) continue;
    const std::string last = slice_of(call, value, axis, whole - shift, INT64_MAX);
    const std::string first = slice_of(call, value, axis, 0, whole - shift);
    value = call.add("Concat", {last, first}, {integer_attribute("axis", axis)});
  }
  const int batch = batch_of_self(call);
  call.finish(value);
  call.set_batch(batch);
}

void repeat(AtenCall& call) {
  const ExportedArgument* list = call.find("repeats");
  if (!list) call.refuse("no repeats");
  std::string x = call.tensor("self");
  const auto more = std::ssize(list->integers) - call.rank("self");
  if (more > 0) {
    std::vector<int64_t> axes;
    for (int64_t axis = 0; axis < more; ++axis) axes.push_back(axis);
    x = call.add("Unsqueeze", {x, call.numbers(axes)});
  }
  call.finish(call.add("Tile", {x, call.sizes_value(*list)}));
}

// One list of positions along one axis.
void index(AtenCall& call) {
  const std::vector<std::string> lists = call.program_names("indices");
  int64_t axis = -1;
  for (size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].empty()) continue;
    if (axis >= 0) call.refuse("positions along more than one axis");
    axis = static_cast<int64_t>(i);
  }
  if (axis < 0) return call.pass("self");
  const std::string& name = lists[static_cast<size_t>(axis)];
  if (call.building().meta(name).type == 12) call.refuse("positions as truth values");
  const int batch = batch_of_self(call);
  const auto more = static_cast<int>(call.building().meta(name).sizes.size()) - 1;
  call.finish(call.add("Gather", {call.tensor("self"), call.value_of(name)},
                       {integer_attribute("axis", axis)}));
  if (batch != kNoBatch && batch != axis) call.set_batch(batch + (axis < batch ? more : 0));
}

void index_select(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"));
  call.finish(call.add("Gather", {call.tensor("self"), call.tensor("index")},
                       {integer_attribute("axis", axis)}));
}

void embedding(AtenCall& call) {
  call.finish(call.add("Gather", {call.tensor("weight"), call.tensor("indices")},
                       {integer_attribute("axis", 0)}));
}

// The amounts stand last axis first, [begin, end] each.
void pad_with(AtenCall& call, const std::string& mode, double value) {
  const auto rank = static_cast<size_t>(call.rank("self"));
  const char* name = call.find("pad") ? "pad" : "padding";
  const std::vector<int64_t> amounts = call.integers(name);
  if (amounts.size() % 2 != 0 || amounts.size() / 2 > rank) call.refuse("amounts that do not fit");
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < amounts.size() / 2; ++i) {
    pads[rank - 1 - i] = amounts[2 * i];
    pads[2 * rank - 1 - i] = amounts[2 * i + 1];
  }
  Attribute a;
  a.name = "mode";
  a.type = io::onnx::AttributeType::string;
  a.s = mode == "replicate" ? "edge" : mode == "circular" ? "wrap" : mode;
  const int batch = batch_of_self(call);
  call.finish(call.add("Pad",
                       {call.tensor("self"), call.numbers(pads),
                        mode == "constant" ? call.number(value, call.meta("self").type) : ""},
                       {a}));
  call.set_batch(batch);
}
void pad(AtenCall& call) { pad_with(call, call.text("mode", "constant"), call.real("value", 0)); }
void reflection_pad(AtenCall& call) { pad_with(call, "reflect", 0); }
void replication_pad(AtenCall& call) { pad_with(call, "replicate", 0); }

constexpr AtenOperator kMovement[] = {
    {"slice", slice, true},
    {"select", select, true},
    {"narrow", narrow, true},
    {"chunk", chunk, true},
    {"split", split, true},
    {"split_with_sizes", split, true},
    {"unsafe_chunk", chunk},
    {"unsafe_split", split},
    {"unsafe_split_with_sizes", split},
    {"unbind", unbind, true},
    {"cat", cat},
    {"concat", cat},
    {"stack", stack},
    {"roll", roll},
    {"repeat", repeat},
    {"index", index},
    {"index_select", index_select},
    {"embedding", embedding},
    {"pad", pad},
    {"constant_pad_nd", pad},
    {"reflection_pad2d", reflection_pad},
    {"replication_pad2d", replication_pad},
};

}  // namespace

AtenTable aten_movement() { return kMovement; }

}  // namespace graft::models::aten
