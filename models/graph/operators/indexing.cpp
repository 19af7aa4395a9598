// Gather and scatter.
#include "graft/layers/functional/indexing.h"

#include "graft/layers/functional/movement.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

OpOutputs gather_op(const OpCall& call) {
  return {functional::gather(call.in(0), call.in(1),
                             at_axis(call.integer("axis", 0), call.in(0).rank()))};
}

OpOutputs gather_elements_op(const OpCall& call) {
  return {functional::gather_elements(call.in(0), call.in(1),
                                      at_axis(call.integer("axis", 0), call.in(0).rank()))};
}

OpOutputs gather_nd_op(const OpCall& call) {
  return {functional::gather_nd(call.in(0), call.in(1),
                                static_cast<int>(call.integer("batch_dims", 0)))};
}

ops::ScatterReduction reduction_named(const std::string& name) {
  if (name == "none") return ops::ScatterReduction::none;
  if (name == "add") return ops::ScatterReduction::add;
  if (name == "mul") return ops::ScatterReduction::mul;
  if (name == "max") return ops::ScatterReduction::max;
  if (name == "min") return ops::ScatterReduction::min;
  bad_input("reduction ", name);
}

OpOutputs scatter_elements_op(const OpCall& call) {
  return {functional::scatter_elements(call.in(0), call.in(1), call.in(2),
                                       at_axis(call.integer("axis", 0), call.in(0).rank()),
                                       reduction_named(call.text("reduction", "none")))};
}

OpOutputs scatter_nd_op(const OpCall& call) {
  return {functional::scatter_nd(call.in(0), call.in(1), call.in(2),
                                 reduction_named(call.text("reduction", "none")))};
}

OpOutputs one_hot_op(const OpCall& call) {
  const Tensor &indices = call.in(0), &depth = call.in(1), &values = call.in(2);
  GRAFT_CHECK(depth.numel() == 1 && values.numel() == 2, "depth ", depth.shape(), " and values ",
              values.shape());
  const double extent = depth.item();
  GRAFT_CHECK(extent >= 0 && extent < 1e15, "depth ", extent);
  call.check_size(checked_mul(indices.numel(), static_cast<int64_t>(extent)));
  const auto value = [&](int64_t i) {
    return functional::reshape(
        functional::slice(functional::reshape(values, {2}), {.starts = {i}, .ends = {i + 1}}),
        Shape());
  };
  return {functional::one_hot(indices, static_cast<int64_t>(extent), value(0), value(1),
                              at_axis(call.integer("axis", -1), indices.rank() + 1))};
}

OpOutputs nonzero_op(const OpCall& call) { return {functional::nonzero(call.in(0))}; }

OpOutputs compress_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  if (!call.given("axis"))
    return {functional::compress(functional::reshape(x, {x.numel()}), call.in(1), 0)};
  return {functional::compress(x, call.in(1), at_axis(call.integer("axis"), x.rank()))};
}

constexpr Operator kIndexing[] = {
    {"Gather", gather_op, "axis"},
    {"GatherElements", gather_elements_op, "axis"},
    {"GatherND", gather_nd_op, "batch_dims"},
    {"Scatter", scatter_elements_op, "axis"},
    {"ScatterElements", scatter_elements_op, "axis reduction"},
    {"ScatterND", scatter_nd_op, "reduction"},
    reading({"OneHot", one_hot_op, "axis"}, {1, 2}),
    reading({"NonZero", nonzero_op, ""}, {0}),
    reading({"Compress", compress_op, "axis"}, {1}),
};

}  // namespace

OperatorTable indexing_operators() { return kIndexing; }

}  // namespace graft::models::graph
