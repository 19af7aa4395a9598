// Shapes, and what changes them: the batch's axis is followed through what files compute of it.
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

void shape(Call& call) {
  const Item& in = call.item(0);
  if (in.is_constant())
    return call.give_sizes({in.constant.shape().begin(), in.constant.shape().end()});
  GRAFT_CHECK(in.is_computed() && in.block.empty(), "takes the shape of what has none");
  call.give_sizes(in.value.dims);
}

Dims target_of_sizes(int64_t all, Dims to, const Dims& from) {
  const auto open = std::find(to.begin(), to.end(), kWhatIsLeft);
  if (open != to.end()) {
    *open = 1;
    const int64_t known = product_of(to);
    GRAFT_CHECK(known != 0 && std::abs(all) % std::abs(known) == 0 &&
                    (!is_of_batch(known) || is_of_batch(all)),
                "makes ", join(to), " of ", join(from));
    *open = std::abs(all) / std::abs(known);
    if (is_of_batch(all) && !is_of_batch(known)) *open = -*open;
  }
  GRAFT_CHECK(product_of(to) == all, "makes ", join(to), " of ", join(from),
              ", which is none of its shapes");
  return to;
}

// A list of extents as a shape of as many numbers as `from`: -1 stands for what is left, and a file
// made for a batch of one size has that number where the batch is.
Dims target_of(const Call& call, const Dims& from) {
  const int64_t all = product_of(from);
  if (!call.item(1).is_constant()) return target_of_sizes(all, call.sizes(1, "shape"), from);
  Dims to = call.integers(1, "shape");
  int64_t known = 1;
  size_t open = to.size();
  for (size_t i = 0; i < to.size(); ++i) {
    GRAFT_CHECK(to[i] >= -1, "its shape is ", join(to));
    if (to[i] == -1) {
      GRAFT_CHECK(open == to.size(), "two extents of its shape are open");
      open = i;
    } else {
      known = checked_mul(known, to[i]);
    }
  }
  GRAFT_CHECK(known > 0, "its shape is ", join(to));
  // An image's own numbers, for the batch that the file was made for.
  const int64_t batch = call.t.batch,
                whole = checked_mul(std::abs(all), is_of_batch(all) ? batch : 1);
  if (open < to.size()) {
    if (is_of_batch(all) && std::abs(all) % known == 0 && (open == 0 || to[0] != batch)) {
      to[open] = -(std::abs(all) / known);
      return to;
    }
    GRAFT_CHECK(whole % known == 0, "makes ", join(to), " of ", join(from));
    to[open] = whole / known;
  }
  GRAFT_CHECK(per_image(to) == whole, "makes ", join(to), " of ", join(from),
              ", which is none of its shapes");
  if (!is_of_batch(all)) return to;
  GRAFT_CHECK(!to.empty() && to[0] % batch == 0, "makes ", join(to), " of ", join(from),
              ": the batch is not in front of it");
  to[0] = -(to[0] / batch);
  return to;
}

void reshape(Call& call) {
  if (!call.item(0).is_computed()) {
    Item same = call.item(0);  // of a constant or of sizes
    if (same.is_constant()) {
      const Dims from(same.constant.shape().begin(), same.constant.shape().end());
      same.constant = same.constant.reshape(Shape(target_of(call, from)));
    }
    return call.give(std::move(same));
  }
  const Value x = call.value(0);
  call.give(reshaped(call, x, target_of(call, x.dims)));
}

void squeeze(Call& call) {
  const Item& in = call.item(0);
  if (!in.is_computed()) {
    Item same = in;
    if (same.is_constant() && same.constant.numel() == 1)
      same.constant = same.constant.reshape(Shape(Dims{}));
    return call.give(std::move(same));
  }
  const Value x = call.value(0);
  std::vector<bool> drop(x.rank(), false);
  Dims given = call.list("squeeze_dims", {});
  for (size_t axis = 0; given.empty() && axis < x.rank(); ++axis) drop[axis] = x.dims[axis] == 1;
  for (const int64_t axis : given) {
    drop[keras::axis_of(axis, x.rank())] = true;
    GRAFT_CHECK(x.at(axis) == 1, "drops axis ", axis, " of ", join(x.dims));
  }
  Dims to;
  for (size_t axis = 0; axis < x.rank(); ++axis)
    if (!drop[axis]) to.push_back(x.dims[axis]);
  call.give(reshaped(call, x, to));
}

Dims with_axis(const Dims& dims, int64_t axis) {
  Dims to = dims;
  const size_t at = keras::axis_of(axis, dims.size() + 1);
  to.insert(to.begin() + static_cast<std::ptrdiff_t>(at), 1);
  return to;
}

void expand_dims(Call& call) {
  const Item& in = call.item(0);
  const Dims axis = call.integers(1, "axis");
  GRAFT_CHECK(axis.size() == 1, "its axis is no single number");
  if (in.sizes) return call.give(Item(in));
  if (in.is_constant()) {
    Item same = in;
    const Dims from(in.constant.shape().begin(), in.constant.shape().end());
    same.constant = in.constant.reshape(Shape(with_axis(from, axis[0])));
    return call.give(std::move(same));
  }
  const Value x = call.value(0);
  call.give(reshaped(call, x, with_axis(x.dims, axis[0])));
}

// Sizes as a list, or values along a new axis.
void pack(Call& call) {
  bool all_sizes = true;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Item& in = call.item(i);
    all_sizes = all_sizes && !in.is_computed() && (in.sizes || !is_floating(in.constant.dtype()));
  }
  if (all_sizes) {
    Dims sizes;
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      const Dims one = call.sizes(i, "sizes");
      GRAFT_CHECK(one.size() == 1, "packs lists of sizes");
      sizes.push_back(one[0]);
    }
    return call.give_sizes(std::move(sizes));
  }
  const int64_t axis = call.integer("axis", 0);
  std::vector<std::string> names;
  Value out;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Value x = call.value(i);
    const Value row = call.writer().in_order(reshaped(call, x, with_axis(x.dims, axis)));
    GRAFT_CHECK(i == 0 || row.dims == out.dims, "packs values of different shapes");
    out = row;
    names.push_back(row.name);
  }
  const size_t at = keras::axis_of(axis, out.rank());
  GRAFT_CHECK(std::none_of(out.dims.begin(), out.dims.begin() + static_cast<std::ptrdiff_t>(at),
                           is_of_batch) ||
                  at > 0,
              "packs along the batch");
  out.name =
      call.writer().node("Concat", names, {keras::integer("axis", static_cast<int64_t>(at))});
  out.dims[at] = static_cast<int64_t>(names.size());
  out.of_image = false;
  call.give(out);
}

void transpose(Call& call) {
  const Dims order = call.integers(1, "order of axes");
  if (call.item(0).is_constant()) bad_input("turns the axes of a constant");
  const Value x = call.value(0);
  Dims sorted = order, stored;
  std::sort(sorted.begin(), sorted.end());
  bool fits = order.size() == x.rank();
  for (size_t i = 0; fits && i < sorted.size(); ++i) fits = sorted[i] == static_cast<int64_t>(i);
  GRAFT_CHECK(fits, "its order of axes ", join(order), " is none of a value of ", x.rank());
  Value out = x;
  out.channels_first = out.of_image = false;
  for (size_t i = 0; i < order.size(); ++i) {
    out.dims[i] = x.at(order[i]);
    stored.push_back(Writer::stored_axis(x, order[i]));
  }
  if (!std::is_sorted(stored.begin(), stored.end()))
    out.name = call.writer().node("Transpose", {x.name}, {keras::ints("perm", stored)});
  call.give(out);
}

void fill(Call& call) {
  const Dims dims = call.integers(0, "shape");
  const Tensor& number = call.constant(1, "number");
  GRAFT_CHECK(number.numel() == 1, "fills with more than one number");
  for (const int64_t extent : dims) GRAFT_CHECK(extent >= 0, "fills ", join(dims));
  const int64_t count = per_image(dims);
  GRAFT_CHECK(dims.size() <= 8 && count <= 1 << 20, "fills ", join(dims));
  call.t.charge(count * 8);
  Item out;
  out.constant = Tensor::full(Shape(dims), number.to_doubles()[0])
                     .to(is_floating(number.dtype()) ? DType::f32 : DType::i64);
  call.give(std::move(out));
}

void rank_of(Call& call) {
  const Item& in = call.item(0);
  GRAFT_CHECK(in.is_computed() || in.is_constant(), "takes the rank of sizes");
  call.give_sizes({in.is_computed() ? static_cast<int64_t>(in.value.rank())
                                    : static_cast<int64_t>(in.constant.rank())});
}

constexpr KnownOperator kShapeOperators[] = {
    {"Shape", shape}, {"Reshape", reshape},     {"Squeeze", squeeze}, {"ExpandDims", expand_dims},
    {"Pack", pack},   {"Transpose", transpose}, {"Fill", fill},       {"Rank", rank_of},
};

}  // namespace

OperatorTable shape_operators() { return kShapeOperators; }

}  // namespace graft::models::tensorflow
