// What moves values: parts, joins, padding, repetition, and products of two values.
#include <algorithm>
#include <limits>

#include "graft/core/base/checked_math.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

using keras::integer;

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

// One axis of a slice, of an extent that is known.
struct Part {
  int64_t begin = 0, end = 0, step = 1;
  int64_t count() const { return step > 0 ? std::max<int64_t>(ceil_div(end - begin, step), 0) : 0; }
};

Value part_of(Call& call, const Value& x, const std::vector<std::optional<Part>>& parts) {
  Dims starts, ends, axes, steps;
  Value out = x;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    if (!parts[axis]) continue;
    const Part& part = *parts[axis];
    GRAFT_CHECK(part.step > 0 && part.count() > 0, "takes nothing of axis ", axis, " of ",
                join(x.dims));
    if (part.begin == 0 && part.end == x.dims[axis] && part.step == 1) continue;
    GRAFT_CHECK(!is_of_batch(x.dims[axis]), "takes some images of a batch");
    GRAFT_CHECK(part.begin >= 0 && part.end <= x.dims[axis], "takes ", part.begin, " to ", part.end,
                " of axis ", axis, " of ", join(x.dims));
    starts.push_back(part.begin);
    ends.push_back(part.end);
    steps.push_back(part.step);
    axes.push_back(Writer::stored_axis(x, static_cast<int64_t>(axis)));
    out.dims[axis] = part.count();
  }
  if (axes.empty()) return out;
  Writer& w = call.writer();
  std::vector<std::string> inputs{x.name, w.numbers(starts), w.numbers(ends), w.numbers(axes),
                                  w.numbers(steps)};
  out.name = w.node("Slice", inputs);
  out.of_image = false;
  return out;
}

bool whole_batch(const Call& call, int64_t extent, int64_t begin, int64_t end) {
  return begin == 0 && (end < 0 || end == kAll || end == call.t.batch * std::abs(extent));
}

void slice(Call& call) {
  const Dims begin = call.integers(1, "begin"), size = call.integers(2, "size");
  const Value x = call.value(0);
  GRAFT_CHECK(begin.size() == x.rank() && size.size() == x.rank(), "takes ", begin.size(),
              " axes of ", x.rank());
  std::vector<std::optional<Part>> parts(x.rank());
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    const int64_t extent = x.dims[axis];
    if (is_of_batch(extent)) {
      GRAFT_CHECK(whole_batch(call, extent, begin[axis], size[axis]),
                  "takes some images of a batch");
      continue;
    }
    parts[axis] = Part{begin[axis], size[axis] < 0 ? extent : begin[axis] + size[axis], 1};
  }
  call.give(part_of(call, x, parts));
}

bool masked(const Call& call, const char* mask, size_t axis) {
  return axis < 31 && (call.integer(mask, 0) >> axis & 1) != 0;
}

int64_t within(int64_t index, int64_t extent) {
  return std::clamp<int64_t>(index < 0 ? index + extent : index, 0, extent);
}

void strided_slice_of_sizes(Call& call) {
  const Dims sizes = call.sizes(0, "sizes"), begin = call.integers(1, "begin"),
             end = call.integers(2, "end"), steps = call.integers(3, "strides");
  GRAFT_CHECK(begin.size() == 1 && end.size() == 1 && steps.size() == 1 && steps[0] == 1,
              "takes a part of sizes in a way that graft does not know");
  const auto count = static_cast<int64_t>(sizes.size());
  const int64_t from = masked(call, "begin_mask", 0) ? 0 : within(begin[0], count);
  int64_t to = masked(call, "end_mask", 0) ? count : within(end[0], count);
  if (masked(call, "shrink_axis_mask", 0)) to = from + 1;
  GRAFT_CHECK(from < to && to <= count, "takes ", from, " to ", to, " of ", count, " sizes");
  call.give_sizes({sizes.begin() + from, sizes.begin() + to});
}

void strided_slice(Call& call) {
  const Item& in = call.item(0);
  GRAFT_CHECK(!call.flag("offset"), "its ends are offsets");
  if (!in.is_computed()) return strided_slice_of_sizes(call);
  const Value x = call.value(0);
  const Dims begin = call.integers(1, "begin"), end = call.integers(2, "end"),
             steps = call.integers(3, "strides");
  GRAFT_CHECK(begin.size() == end.size() && begin.size() == steps.size(), "has ", begin.size(),
              " begins and ", end.size(), " ends");
  size_t fresh = 0;
  for (size_t i = 0; i < begin.size(); ++i) fresh += masked(call, "new_axis_mask", i);
  GRAFT_CHECK(begin.size() - fresh <= x.rank(), "takes ", begin.size(), " axes of ", x.rank());
  std::vector<std::optional<Part>> parts(x.rank());
  std::vector<bool> shrunk(x.rank(), false), before(x.rank() + 1, false);
  size_t axis = 0;
  for (size_t i = 0; i < begin.size(); ++i) {
    if (masked(call, "ellipsis_mask", i)) {
      size_t later = 0;
      for (size_t k = i + 1; k < begin.size(); ++k) later += !masked(call, "new_axis_mask", k);
      GRAFT_CHECK(later + axis <= x.rank(), "takes more axes than there are");
      axis = x.rank() - later;
      continue;
    }
    if (masked(call, "new_axis_mask", i)) {
      before[axis] = true;
      continue;
    }
    GRAFT_CHECK(axis < x.rank(), "takes more axes than there are");
    const int64_t extent = x.dims[axis];
    const bool from_start = masked(call, "begin_mask", i), to_end = masked(call, "end_mask", i);
    if (is_of_batch(extent)) {
      GRAFT_CHECK(steps[i] == 1 && !masked(call, "shrink_axis_mask", i) &&
                      whole_batch(call, extent, from_start ? 0 : begin[i], to_end ? kAll : end[i]),
                  "takes some images of a batch");
      ++axis;
      continue;
    }
    shrunk[axis] = masked(call, "shrink_axis_mask", i);
    Part part{from_start ? 0 : within(begin[i], extent), to_end ? extent : within(end[i], extent),
              steps[i]};
    if (shrunk[axis]) part = {part.begin, part.begin + 1, 1};
    parts[axis++] = part;
  }
  const Value taken = part_of(call, x, parts);
  Dims to;
  for (size_t a = 0; a <= x.rank(); ++a) {
    if (before[a]) to.push_back(1);
    if (a < x.rank() && !shrunk[a]) to.push_back(taken.dims[a]);
  }
  call.give(reshaped(call, taken, to));
}

void split_at(Call& call, const Value& x, int64_t axis, const Dims& counts, bool drop_axis) {
  const size_t at = keras::axis_of(axis, x.rank());
  GRAFT_CHECK(!is_of_batch(x.dims[at]), "takes the images of a batch apart");
  GRAFT_CHECK(counts.size() == call.outputs.size(), "has ", call.outputs.size(), " outputs for ",
              counts.size(), " parts");
  int64_t from = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    std::vector<std::optional<Part>> parts(x.rank());
    GRAFT_CHECK(counts[i] > 0 && counts[i] <= x.dims[at] - from, "its parts do not fit ",
                x.dims[at]);
    parts[at] = Part{from, from + counts[i], 1};
    from += counts[i];
    Value part = part_of(call, x, parts);
    if (drop_axis) {
      Dims to = part.dims;
      to.erase(to.begin() + static_cast<std::ptrdiff_t>(at));
      part = reshaped(call, part, to);
    }
    call.give(part, i);
  }
  GRAFT_CHECK(from == x.dims[at], "its parts do not fit ", x.dims[at]);
}

int64_t axis_input(const Call& call, size_t i) {
  const Dims axis = call.integers(i, "axis");
  GRAFT_CHECK(axis.size() == 1, "its axis is no single number");
  return axis[0];
}

void split(Call& call) {
  const Value x = call.value(1);
  const int64_t axis = axis_input(call, 0), extent = x.at(axis), count = std::ssize(call.outputs);
  GRAFT_CHECK(count > 0 && extent > 0 && extent % count == 0, "makes ", count, " parts of ",
              extent);
  split_at(call, x, axis, Dims(static_cast<size_t>(count), extent / count), false);
}

void split_by_sizes(Call& call) {
  const Value x = call.value(0);
  const int64_t axis = axis_input(call, 2);
  Dims counts = call.integers(1, "sizes");
  int64_t known = 0;
  for (const int64_t count : counts) known += std::max<int64_t>(count, 0);
  for (int64_t& count : counts)
    if (count == -1) count = x.at(axis) - known;
  split_at(call, x, axis, counts, false);
}

void unpack(Call& call) {
  const Value x = call.value(0);
  const int64_t axis = call.integer("axis", 0);
  GRAFT_CHECK(x.at(axis) == std::ssize(call.outputs), "unpacks ", x.at(axis), " into ",
              call.outputs.size());
  split_at(call, x, axis, Dims(call.outputs.size(), 1), true);
}

void concat_values(Call& call, size_t values, int64_t axis) {
  GRAFT_CHECK(values >= 1, "joins nothing");
  std::vector<Value> parts;
  bool any_first = false, sizes = true;
  for (size_t i = 0; i < values; ++i) {
    const Item& in = call.item(i);
    sizes = sizes && !in.is_computed() && (in.sizes || !is_floating(in.constant.dtype()));
  }
  if (sizes) {
    Dims all;
    for (size_t i = 0; i < values; ++i)
      for (const int64_t size : call.sizes(i, "sizes")) all.push_back(size);
    return call.give_sizes(std::move(all));
  }
  for (size_t i = 0; i < values; ++i) {
    parts.push_back(call.value(i));
    any_first = any_first || parts.back().channels_first;
    GRAFT_CHECK(parts[i].rank() == parts[0].rank(), "joins values of different ranks");
  }
  Value out = parts[0];
  const size_t at = keras::axis_of(axis, out.rank());
  GRAFT_CHECK(!is_of_batch(out.dims[at]), "joins images to one batch");
  std::vector<std::string> names;
  int64_t extent = 0;
  for (const Value& part : parts) {
    for (size_t other = 0; other < out.rank(); ++other)
      GRAFT_CHECK(other == at || part.dims[other] == out.dims[other], "joins ", join(part.dims),
                  " to ", join(out.dims), " along axis ", at);
    extent = checked_add(extent, part.dims[at]);
    names.push_back((any_first ? call.writer().channels_first(part) : part).name);
  }
  out.channels_first = any_first && out.rank() >= 3;
  out.of_image = false;
  out.name = call.writer().node(
      "Concat", names, {integer("axis", Writer::stored_axis(out, static_cast<int64_t>(at)))});
  out.dims[at] = extent;
  call.give(out);
}

// The axis is the last input.
void concat(Call& call) {
  GRAFT_CHECK(call.inputs.size() >= 2, "joins nothing");
  concat_values(call, call.inputs.size() - 1, axis_input(call, call.inputs.size() - 1));
}

std::vector<std::pair<int64_t, int64_t>> pads_of(const Call& call, const Value& x) {
  const Dims all = call.integers(1, "paddings");
  GRAFT_CHECK(all.size() == 2 * x.rank(), "has ", all.size(), " paddings for ", x.rank(), " axes");
  std::vector<std::pair<int64_t, int64_t>> pads;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    const auto [begin, end] = std::pair{all[2 * axis], all[2 * axis + 1]};
    GRAFT_CHECK(begin >= 0 && end >= 0 && begin <= 65'536 && end <= 65'536 &&
                    (begin + end == 0 || !is_of_batch(x.dims[axis])),
                "its paddings are ", join(all));
    pads.emplace_back(begin, end);
  }
  return pads;
}

void pad_as(Call& call, const std::string& mode, double with) {
  const Value x = call.value(0);
  const auto pads = pads_of(call, x);
  Dims stored(2 * x.rank());
  Value out = x;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    const auto at = static_cast<size_t>(Writer::stored_axis(x, static_cast<int64_t>(axis)));
    stored[at] = pads[axis].first;
    stored[at + x.rank()] = pads[axis].second;
    if (pads[axis].first + pads[axis].second == 0) continue;
    GRAFT_CHECK(mode != "reflect" || std::max(pads[axis].first, pads[axis].second) < x.dims[axis],
                "reflects more than there is");
    out.dims[axis] += pads[axis].first + pads[axis].second;
  }
  std::vector<std::string> inputs{x.name, call.writer().numbers(stored)};
  if (with != 0) inputs.push_back(call.writer().number(with));
  Attributes attributes;
  if (mode != "constant") attributes.push_back(keras::text("mode", mode));
  out.name = call.writer().node("Pad", inputs, attributes);
  out.of_image = false;
  call.give(out);
}

void pad(Call& call) {
  double with = 0;
  if (call.has_input(2)) {
    const Tensor& number = call.constant(2, "number to pad with");
    GRAFT_CHECK(number.numel() == 1, "pads with more than one number");
    with = number.to_doubles()[0];
  }
  pad_as(call, "constant", with);
}

void mirror_pad(Call& call) {
  const std::string mode = call.text("mode", "REFLECT");
  if (mode == "REFLECT") return pad_as(call, "reflect", 0);
  const Value x = call.value(0);
  for (const auto& [begin, end] : pads_of(call, x))
    GRAFT_CHECK(std::max(begin, end) <= 1,
                "mirrors more than the last row (SYMMETRIC), which "
                "graft does not");
  pad_as(call, "edge", 0);  // the same for one row
}

void tile(Call& call) {
  const Value x = call.writer().in_order(call.value(0));
  const Dims times = call.integers(1, "multiples");
  GRAFT_CHECK(times.size() == x.rank(), "has ", times.size(), " multiples for ", x.rank(), " axes");
  Value out = x;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    GRAFT_CHECK(times[axis] >= 1 && times[axis] <= 65'536 &&
                    (times[axis] == 1 || !is_of_batch(x.dims[axis])),
                "repeats ", join(times), " times ", join(x.dims));
    out.dims[axis] = checked_mul(x.dims[axis], times[axis]);
  }
  out.name = call.writer().node("Tile", {x.name, call.writer().numbers(times)});
  out.of_image = false;
  call.give(out);
}

// Some sizes, or rows along an axis by constant numbers.
void gather_along(Call& call, int64_t axis) {
  const Item& in = call.item(0);
  GRAFT_CHECK(call.integer("batch_dims", 0) == 0, "gathers of each image its own");
  const Tensor& which = call.constant(1, "numbers of what it takes");
  const Dims indices = call.integers(1, "numbers of what it takes");
  if (!in.is_computed()) {
    const Dims sizes = call.sizes(0, "sizes");
    Dims taken;
    for (const int64_t i : indices) {
      const int64_t at = i < 0 ? i + std::ssize(sizes) : i;
      GRAFT_CHECK(at >= 0 && at < std::ssize(sizes), "takes size ", i, " of ", sizes.size());
      taken.push_back(sizes[static_cast<size_t>(at)]);
    }
    return call.give_sizes(std::move(taken));
  }
  const Value x = call.writer().in_order(call.value(0));
  const size_t at = keras::axis_of(axis, x.rank());
  GRAFT_CHECK(!is_of_batch(x.dims[at]) && which.rank() <= 1, "takes some images of a batch");
  for (const int64_t i : indices)
    GRAFT_CHECK(i >= 0 && i < x.dims[at], "takes ", i, " of ", x.dims[at]);
  Value out = x;
  out.name = call.writer().node("Gather", {x.name, call.writer().numbers(indices)},
                                {integer("axis", static_cast<int64_t>(at))});
  out.of_image = false;
  out.dims[at] = std::ssize(indices);
  if (which.rank() == 0) {
    Dims to = out.dims;
    to.erase(to.begin() + static_cast<std::ptrdiff_t>(at));
    out = reshaped(call, out, to);
  }
  call.give(out);
}

void gather(Call& call) {
  gather_along(call, call.has_input(2) ? axis_input(call, 2) : call.integer("axis", 0));
}

Value with_last_turned(Call& call, const Value& x, bool turn) {
  Value out = call.writer().in_order(x);
  out.of_image = false;
  if (!turn) return out;
  Dims order;
  for (size_t axis = 0; axis < x.rank(); ++axis) order.push_back(static_cast<int64_t>(axis));
  std::swap(order[x.rank() - 1], order[x.rank() - 2]);
  std::swap(out.dims[x.rank() - 1], out.dims[x.rank() - 2]);
  out.name = call.writer().node("Transpose", {out.name}, {keras::ints("perm", order)});
  return out;
}

void product(Call& call) {
  const Value first = call.value(0), second = call.value(1);
  GRAFT_CHECK(first.rank() >= 2 && second.rank() >= 2, "multiplies values of less than two axes");
  const Value a = with_last_turned(call, first, call.flag("adj_x") || call.flag("transpose_a")),
              b = with_last_turned(call, second, call.flag("adj_y") || call.flag("transpose_b"));
  GRAFT_CHECK(a.at(-1) == b.at(-2) && !is_of_batch(a.at(-1)), "multiplies ", join(a.dims), " by ",
              join(b.dims));
  Value out = a;
  out.dims =
      broadcast(Dims(a.dims.begin(), a.dims.end() - 2), Dims(b.dims.begin(), b.dims.end() - 2));
  out.dims.push_back(a.at(-2));
  out.dims.push_back(b.at(-1));
  out.name = call.writer().node("MatMul", {a.name, b.name});
  call.give(out);
}

constexpr KnownOperator kMovementOperators[] = {
    {"Slice", slice},
    {"StridedSlice", strided_slice},
    {"Split", split},
    {"SplitV", split_by_sizes},
    {"Unpack", unpack},
    {"ConcatV2", concat},
    {"Pad", pad},
    {"PadV2", pad},
    {"MirrorPad", mirror_pad},
    {"Tile", tile},
    {"GatherV2", gather},
    {"BatchMatMul", product},
    {"BatchMatMulV2", product},
    {"BatchMatMulV3", product},
};

}  // namespace

OperatorTable movement_operators() { return kMovementOperators; }

}  // namespace graft::models::tensorflow
