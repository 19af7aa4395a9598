// Losses that are part of a graph.
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/softmax.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

using functional::mul;

// x holds log-probabilities [N,C,...], target classes [N,...]; weight [C] or undefined.
Tensor likelihood_loss(const OpCall& call, const Tensor& x) {
  const Tensor& target = call.in(1);
  GRAFT_CHECK(x.rank() >= 2 && target.rank() == x.rank() - 1, "input ", x.shape(), " and target ",
              target.shape());
  const Tensor wide = functional::cast(target, DType::i64);
  Tensor classes = wide, weight;
  if (call.has(2)) weight = call.in(2);
  Tensor kept = Tensor::full(target.shape(), 1, {.dtype = x.dtype()});
  if (call.given("ignore_index")) {
    const Tensor ignored = functional::binary(
        wide, tensor_of({call.integer("ignore_index")}).reshape(Shape()), ops::Binary::equal);
    classes = functional::where(ignored, Tensor::scalar(0, DType::i64), wide);
    kept = functional::where(ignored, Tensor::scalar(0, x.dtype()), kept);
  }
  if (weight.defined()) kept = mul(kept, functional::gather(weight, classes, 0));
  std::vector<int64_t> extents(target.shape().begin(), target.shape().end());
  extents.insert(extents.begin() + 1, 1);
  const Tensor chosen = functional::reshape(
      functional::gather_elements(x, functional::reshape(classes, Shape(extents)), 1),
      target.shape());
  const Tensor loss = functional::neg(mul(chosen, kept));
  const std::string reduction = call.text("reduction", "mean");
  GRAFT_CHECK(reduction == "none" || reduction == "sum" || reduction == "mean", "reduction ",
              reduction);
  if (reduction == "none") return loss;
  const Tensor sum = functional::reduce(loss, {.function = ops::Reduce::sum});
  return reduction == "sum"
             ? sum
             : functional::div(sum, functional::reduce(kept, {.function = ops::Reduce::sum}));
}

OpOutputs negative_log_likelihood(const OpCall& call) {
  return {likelihood_loss(call, call.in(0))};
}

OpOutputs softmax_cross_entropy(const OpCall& call) {
  const Tensor log_probabilities = functional::log_softmax(call.in(0), 1);
  return {likelihood_loss(call, log_probabilities), log_probabilities};
}

constexpr Operator kLosses[] = {
    {"NegativeLogLikelihoodLoss", negative_log_likelihood, "ignore_index reduction"},
    {"SoftmaxCrossEntropyLoss", softmax_cross_entropy, "ignore_index reduction"},
};

}  // namespace

OperatorTable loss_operators() { return kLosses; }

}  // namespace graft::models::graph
