#include "graft/train/training_step.h"

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/dropout.h"
#include "graft/train/metrics.h"

namespace graft::train {

// On a device nobody could look at labels without waiting for it: they are checked here.
void check_labels(const Tensor& labels, int64_t classes) {
  for (const int64_t label : labels.elements<int64_t>())
    GRAFT_CHECK(label >= 0 && label < classes, "cross_entropy: label ", label, " is not in [0, ",
                classes, ")");
}

namespace {

struct Piece {
  const Tensor& labels;  // on the host
  const StepOptions& options;
  double share;  // of the batch
  StepResult& result;

  Tensor on_device(const Tensor& logits) const {
    if (is_cpu(logits.device())) return labels;
    check_labels(labels, logits.size(1));
    return options.device_labels.defined() ? options.device_labels
                                           : to_device(labels, logits.device());
  }

  // The last stage's answers: their loss, its share of the batch's, and the gradient from there on.
  void finish(const Tensor& answers_of_network) const {
    const Tensor logits = functional::cast(answers_of_network, DType::f32);
    const Tensor loss = functional::cross_entropy(
        logits, on_device(logits),
        {.label_smoothing = options.label_smoothing, .class_weights = options.class_weights});
    result.pieces.push_back({loss.detach(), logits.detach(), share});
    result.is_stepped = share == 1 && !options.plan.recompute && options.backward_whole;
    if (result.is_stepped)
      options.backward_whole(loss);
    else if (share * options.loss_scale == 1)
      backward(loss);
    else
      backward(loss, Tensor::full(loss.shape(), share * options.loss_scale, loss.options()));
  }
};

// What the labels' losses count for together.
double weight_in(const Tensor& labels, const StepOptions& options) {
  if (options.weight_of_class.empty()) return static_cast<double>(labels.numel());
  double sum = 0;
  for (const int64_t label : labels.elements<int64_t>())
    sum += options.weight_of_class.at(static_cast<size_t>(label));
  return sum;
}

void run_kept(StagedNetwork& network, size_t first, const Tensor& x, const Piece& piece) {
  piece.finish(network.forward_stages(x, first, network.stages().size()));
}

void run_recomputed(StagedNetwork& network, size_t first, const Tensor& x, const Piece& piece) {
  const size_t last = network.stages().size() - 1;
  std::vector<Tensor> inputs{x};  // of stages first, first + 1, ...
  {
    const NoGradGuard no_grad;
    for (size_t stage = first; stage < last; ++stage)
      inputs.push_back(network.forward_stages(inputs.back(), stage, stage + 1));
  }
  Tensor gradient;  // of the results of the stage at hand
  for (size_t stage = last + 1; stage-- > first;) {
    const Tensor input = inputs.back().detach();
    inputs.pop_back();
    if (stage > first) set_requires_grad(input, true);
    if (stage == last) {
      piece.finish(network.forward_stages(input, stage, stage + 1));
    } else {
      const HeldStatistics held(network);  // the first forward moved them
      const Tensor y = network.forward_stages(input, stage, stage + 1);
      if (!needs_grad(y)) return;
      backward(y, gradient);
    }
    gradient = grad_of(input);
    if (!gradient.defined()) return;
  }
}

}  // namespace

// With momentum 0 the running statistics are written again as they are.
HeldStatistics::HeldStatistics(StagedNetwork& network) {
  network.for_each_module([this](const std::string&, Module& module) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    if (!norm) return;
    Before before{norm, norm->options().momentum, {}, 0};
    for (const auto& [name, tensor] : module.own_tensors())
      if (!name.empty() && name == norm->options().names[4])
        before.count = tensor, before.batches = tensor.data<int64_t>()[0];
    norm->set_momentum(0);
    before_.push_back(std::move(before));
  });
}

HeldStatistics::~HeldStatistics() {
  for (Before& before : before_) {
    before.norm->set_momentum(before.momentum);
    if (before.count.defined() && before.count.data<int64_t>()[0] != before.batches)
      before.count.mutable_data<int64_t>()[0] = before.batches;
  }
}

void StepResult::read() {
  for (const Piece& piece : pieces) {
    loss += piece.share * piece.loss.item();
    const auto answers = train::predictions(piece.logits);
    predictions.insert(predictions.end(), answers.begin(), answers.end());
  }
  pieces.clear();
}

StepResult run_training_step(StagedNetwork& network, size_t first, const Batch& batch,
                             const StepOptions& options) {
  const StepPlan& plan = options.plan;
  const DropoutStream& dropout = options.dropout;
  const int64_t count = batch.x.size(0), limit = plan.micro_batch > 0 ? plan.micro_batch : count;
  const int64_t pieces = ceil_div(count, limit);  // as equal as they can be
  StepResult result;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t begin = i * count / pieces, size = (i + 1) * count / pieces - begin;
    set_dropout_streams(network, dropout.seed, dropout.epoch,
                        dropout.step + (static_cast<uint64_t>(i) << 40));
    const Tensor given =
        to_device(pieces == 1 ? batch.x : batch.x.narrow_batch(begin, size), network.device());
    const Tensor x = functional::cast(given, options.activations);
    const Tensor labels = pieces == 1 ? batch.labels : batch.labels.narrow_batch(begin, size);
    const double share = weight_in(labels, options) / weight_in(batch.labels, options);
    const Piece piece{labels, options, share, result};
    (plan.recompute ? run_recomputed : run_kept)(network, first, x, piece);
  }
  return result;
}

}  // namespace graft::train
