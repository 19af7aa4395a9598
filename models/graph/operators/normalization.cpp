// BatchNormalization and its relatives, where the graph's own tensors are their parameters. A batch norm of stored
// statistics is a BatchNorm2d of the module instead.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// training_mode=1 (opset 14) or, before, five wanted outputs: statistics of this batch, the variance biased. The
// outputs are y and the running mean and variance.
OpOutputs batch_normalization(const OpCall& call) {
  const Tensor &x = call.in(0), &mean = call.in(3), &variance = call.in(4);
  functional::BatchNormOptions options{.eps = call.real("epsilon", 1e-5)};
  GRAFT_CHECK(call.integer("spatial", 1) == 1, "statistics of every element (spatial 0) are not supported");
  const bool training = call.opset() >= 14 ? call.integer("training_mode", 0) != 0 : call.opset() < 7 && call.integer("is_test", 0) == 0 && call.wants(1);
  if (!training) return {functional::batch_norm(x, call.in(1), call.in(2), mean, variance, options)};
  options.training = true;
  options.momentum = 1;
  const DType statistics = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const Tensor batch_mean = Tensor::empty(mean.shape(), {.dtype = statistics}), batch_variance = Tensor::empty(mean.shape(), {.dtype = statistics});
  const Tensor y = functional::batch_norm(x, call.in(1), call.in(2), batch_mean, batch_variance, options);
  const double keep = call.real("momentum", 0.9), count = static_cast<double>(x.numel() / std::max<int64_t>(x.size(1), 1));
  const auto running = [&](const Tensor& before, const Tensor& batch, double scale) {
    std::vector<double> values = before.to_doubles();
    const std::vector<double> now = batch.to_doubles();
    for (size_t i = 0; i < values.size(); ++i) values[i] = keep * values[i] + (1 - keep) * scale * now[i];
    return Tensor::of(before.shape(), values).to(before.dtype());
  };
  return {y, running(mean, batch_mean, 1), running(variance, batch_variance, (count - 1) / count)};
}

constexpr Operator kNormalizations[] = {
    {"BatchNormalization", batch_normalization, "epsilon momentum training_mode spatial is_test consumed_inputs", Layout::images},
};

}  // namespace

OperatorTable normalization_operators() { return kNormalizations; }

}  // namespace graft::models::graph
