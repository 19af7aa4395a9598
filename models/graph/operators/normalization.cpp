// BatchNormalization and its relatives, where the graph's own tensors are their parameters. A batch
// norm of stored statistics is a BatchNorm2d of the module instead.
#include "graft/layers/functional/normalization.h"

#include <tuple>

#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// training_mode=1 (opset 14) or, before, five wanted outputs: statistics of this batch, the
// variance biased. The outputs are y and the running mean and variance.
OpOutputs batch_normalization(const OpCall& call) {
  const Tensor &x = call.in(0), &mean = call.in(3), &variance = call.in(4);
  functional::BatchNormOptions options{.eps = call.real("epsilon", 1e-5)};
  GRAFT_CHECK(call.integer("spatial", 1) == 1,
              "statistics of every element (spatial 0) are not supported");
  const bool training = call.opset() >= 14
                            ? call.integer("training_mode", 0) != 0
                            : call.opset() < 7 && call.integer("is_test", 0) == 0 && call.wants(1);
  if (!training)
    return {functional::batch_norm(x, call.in(1), call.in(2), mean, variance, options)};
  GRAFT_CHECK(variance.shape() == mean.shape(), "a mean of ", mean.shape(), " and a variance of ",
              variance.shape());
  options.training = true;
  options.momentum = 1;
  const DType statistics = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Tensor batch_mean =
                   Tensor::empty(mean.shape(), {.dtype = statistics, .device = x.device()}),
               batch_variance = Tensor::empty_like(batch_mean);
  const Tensor y =
      functional::batch_norm(x, call.in(1), call.in(2), batch_mean, batch_variance, options);
  const double keep = call.real("momentum", 0.9),
               count = static_cast<double>(x.numel() / std::max<int64_t>(x.size(1), 1));
  const auto running = [&](const Tensor& before, const Tensor& batch, double scale) {
    std::vector<double> values = before.to_doubles();
    const std::vector<double> now = batch.to_doubles();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = keep * values[i] + (1 - keep) * scale * now[i];
    return to_device(Tensor::of(before.shape(), values).to(before.dtype()), before.device());
  };
  return {y, running(mean, batch_mean, 1), running(variance, batch_variance, (count - 1) / count)};
}

OpOutputs instance_norm_op(const OpCall& call) {
  return {
      functional::instance_norm(call.in(0), call.in(1), call.in(2), call.real("epsilon", 1e-5))};
}

// The mean and 1 / sqrt(variance + eps) over the axes from `axis` on, which keep an extent of 1.
std::pair<Tensor, Tensor> row_statistics(const Tensor& x, int axis, double eps) {
  ops::ReduceAttributes mean{.function = ops::Reduce::mean, .axes = {}, .keep_axes = true};
  for (int a = axis; a < x.rank(); ++a) mean.axes.push_back(a);
  const Tensor center = functional::reduce(x, mean), away = functional::sub(x, center);
  const Tensor variance = functional::reduce(functional::mul(away, away), mean);
  return {center, functional::reciprocal(
                      functional::sqrt(functional::add(variance, Tensor::scalar(eps, x.dtype()))))};
}

OpOutputs layer_norm_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int axis = at_axis(call.integer("axis", -1), x.rank());
  const double eps = call.real("epsilon", 1e-5);
  OpOutputs outputs{functional::layer_norm(x, call.in(1), call.optional(2), axis, eps), Tensor(),
                    Tensor()};
  if (call.wants(1) || call.wants(2))
    std::tie(outputs[1], outputs[2]) = row_statistics(x, axis, eps);
  return outputs;
}

OpOutputs rms_norm_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  return {functional::rms_norm(x, call.in(1), at_axis(call.integer("axis", -1), x.rank()),
                               call.real("epsilon", 1e-5))};
}

// Scale and bias are per group before opset 21, per channel since.
OpOutputs group_norm_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  const int64_t groups = call.integer("num_groups");
  GRAFT_CHECK(x.rank() >= 2 && groups >= 1 && x.shape()[1] % groups == 0, groups,
              " groups of the channels of ", x.shape());
  const auto per_channel = [&](const Tensor& t) {
    if (call.opset() >= 21) return t;
    return functional::reshape(
        functional::expand(functional::reshape(t, {groups, 1}), {groups, x.shape()[1] / groups}),
        {x.shape()[1]});
  };
  return {functional::group_norm(x, groups, per_channel(call.in(1)), per_channel(call.in(2)),
                                 call.real("epsilon", 1e-5))};
}

OpOutputs local_response_norm_op(const OpCall& call) {
  return {
      functional::local_response_norm(call.in(0), {call.integer("size"), call.real("alpha", 1e-4),
                                                   call.real("beta", 0.75), call.real("bias", 1)})};
}

OpOutputs lp_normalization_op(const OpCall& call) {
  return {functional::lp_normalization(call.in(0),
                                       at_axis(call.integer("axis", -1), call.in(0).rank()),
                                       static_cast<int>(call.integer("p", 2)))};
}

OpOutputs mean_variance_normalization_op(const OpCall& call) {
  std::vector<int> axes;
  for (const int64_t axis : call.integers("axes", {0, 2, 3}))
    axes.push_back(at_axis(axis, call.in(0).rank()));
  return {functional::mean_variance_normalization(call.in(0), axes)};
}

constexpr Operator kNormalizations[] = {
    {"BatchNormalization", batch_normalization,
     "epsilon momentum training_mode spatial is_test consumed_inputs", Layout::images},
    {"InstanceNormalization", instance_norm_op, "epsilon consumed_inputs", Layout::images},
    {"LayerNormalization", layer_norm_op, "axis epsilon stash_type"},
    {"RMSNormalization", rms_norm_op, "axis epsilon stash_type"},
    {"GroupNormalization", group_norm_op, "epsilon num_groups stash_type", Layout::images},
    {"LRN", local_response_norm_op, "alpha beta bias size", Layout::images},
    {"LpNormalization", lp_normalization_op, "axis p"},
    {"MeanVarianceNormalization", mean_variance_normalization_op, "axes"},
};

}  // namespace

OperatorTable normalization_operators() { return kNormalizations; }

}  // namespace graft::models::graph
