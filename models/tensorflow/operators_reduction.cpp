// Means, sums and the largest over axes.
#include <algorithm>
#include <set>

#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

std::set<size_t> axes_of(const Call& call, size_t rank) {
  const Dims given = call.integers(1, "axes");
  std::set<size_t> axes;
  for (const int64_t axis : given) axes.insert(keras::axis_of(axis, rank));
  return axes;
}

bool keeps_dims(const Call& call) { return call.flag("keep_dims") || call.flag("keepdims"); }

Dims reduced(const Dims& dims, const std::set<size_t>& axes, bool keep) {
  Dims result;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (!axes.contains(axis))
      result.push_back(dims[axis]);
    else if (keep)
      result.push_back(1);
  }
  return result;
}

// Over height and width of images: graft's own global pools.
bool pool_all(Call& call, const Value& x, const std::set<size_t>& axes, const char* onnx) {
  if (x.rank() != 4 || axes != std::set<size_t>{1, 2} || !is_of_batch(x.dims[0])) return false;
  Value maps = call.writer().channels_first(x);
  maps.of_image = false;
  maps.name = call.writer().node(onnx, {maps.name});
  maps.dims = {x.dims[0], 1, 1, x.dims[3]};
  call.give(keeps_dims(call) ? maps : reshaped(call, maps, {x.dims[0], x.dims[3]}));
  return true;
}

void reduce(Call& call, const char* onnx, const char* global) {
  const Value x = call.value(0);
  const std::set<size_t> axes = axes_of(call, x.rank());
  for (const size_t axis : axes)
    GRAFT_CHECK(!is_of_batch(x.dims[axis]), "mixes the images of a batch (axis ", axis, ")");
  if (axes.empty()) return call.give(x);
  if (global && pool_all(call, x, axes, global)) return;
  const bool keep = keeps_dims(call);
  Value out = keep ? x : call.writer().in_order(x);
  Dims stored;
  for (const size_t axis : axes)
    stored.push_back(Writer::stored_axis(out, static_cast<int64_t>(axis)));
  std::sort(stored.begin(), stored.end());
  call.writer().needs_opset(18);
  const std::string which = call.writer().numbers(stored);
  out.name = call.writer().node(onnx, {out.name, which}, {keras::integer("keepdims", keep)});
  out.dims = reduced(x.dims, axes, keep);
  out.of_image = false;
  call.give(out);
}

void mean(Call& call) { reduce(call, "ReduceMean", "GlobalAveragePool"); }
void sum(Call& call) { reduce(call, "ReduceSum", nullptr); }
void largest(Call& call) { reduce(call, "ReduceMax", "GlobalMaxPool"); }
void least(Call& call) { reduce(call, "ReduceMin", nullptr); }

// Of sizes.
void product_over(Call& call) {
  GRAFT_CHECK(!call.item(0).is_computed(),
              "multiplies numbers of the image along an axis, which "
              "graft does not");
  const Dims sizes = call.sizes(0, "sizes");
  call.give_sizes({product_of(sizes)});
}

}  // namespace

OperatorTable reduction_operators() {
  static constexpr KnownOperator kReductionOperators[] = {
      {"Mean", mean}, {"Sum", sum}, {"Max", largest}, {"Min", least}, {"Prod", product_over}};
  return kReductionOperators;
}

}  // namespace graft::models::tensorflow
