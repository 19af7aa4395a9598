#include "graft/train/training_step.h"

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/dropout.h"
#include "graft/train/held_statistics.h"
#include "graft/train/metrics.h"
#include "graft/train/repeated_step.h"

namespace graft::train {

// On a device nobody could look at labels without waiting for it: they are checked here.
void check_labels(const Tensor& labels, int64_t classes) {
  for (const int64_t label : labels.elements<int64_t>())
    GRAFT_CHECK(label >= 0 && label < classes, "cross_entropy: label ", label, " is not in [0, ",
                classes, ")");
}

namespace {

// Of the last stage's answers; labels on the host.
BatchLoss loss_of_answers(const Tensor& answers, const Tensor& labels, const StepOptions& options,
                          const Tensor& device_labels) {
  const Tensor logits = functional::cast(answers, DType::f32);
  Tensor placed = labels;
  if (!is_cpu(logits.device())) {
    check_labels(labels, logits.size(1));
    placed = device_labels.defined() ? device_labels : to_device(labels, logits.device());
  }
  return {functional::cross_entropy(
              logits, placed,
              {.label_smoothing = options.label_smoothing, .class_weights = options.class_weights}),
          logits};
}

// What the labels' losses count for together.
double weight_in(const Tensor& labels, const StepOptions& options) {
  if (options.weight_of_class.empty()) return static_cast<double>(labels.numel());
  double sum = 0;
  for (const int64_t label : labels.elements<int64_t>())
    sum += options.weight_of_class.at(static_cast<size_t>(label));
  return sum;
}

// Images [begin, begin + size) of a batch, whose gradients add up to the batch's.
struct MicroBatch {
  Tensor x;       // where the network lies, in the type of the activations
  Tensor labels;  // on the host
  double share;   // of the batch
  double loss_scale;
};

// The loss, and backward from it: its share of the batch's.
void finish(const MicroBatch& micro, const Tensor& answers, const StepOptions& options,
            StepResult& result) {
  const auto [loss, logits] = loss_of_answers(answers, micro.labels, options, {});
  result.pieces.push_back({loss.detach(), logits.detach(), micro.share});
  const double factor = micro.share * micro.loss_scale;
  if (factor == 1)
    backward(loss);
  else
    backward(loss, Tensor::full(loss.shape(), factor, loss.options()));
}

void run_recomputed(StagedNetwork& network, size_t first, const MicroBatch& micro,
                    const StepOptions& options, StepResult& result) {
  const size_t last = network.stages().size() - 1;
  std::vector<Tensor> inputs{micro.x};  // of stages first, first + 1, ...
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
      finish(micro, network.forward_stages(input, stage, stage + 1), options, result);
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

bool goes_through_whole(const Batch& batch, const StepPlan& plan) {
  return !plan.recompute && (plan.micro_batch <= 0 || plan.micro_batch >= batch.x.size(0));
}

}  // namespace

void StepResult::read() {
  for (const Piece& piece : pieces) {
    loss += piece.share * piece.loss.item();
    const auto answers = train::predictions(piece.logits);
    predictions.insert(predictions.end(), answers.begin(), answers.end());
  }
  pieces.clear();
}

BatchLoss loss_of(StagedNetwork& network, size_t first, const Batch& batch,
                  const StepOptions& options, const StepPosition& position,
                  const Tensor& device_labels) {
  set_dropout_streams(network, position.seed, position.epoch, position.step);
  const Tensor x = functional::cast(to_device(batch.x, network.device()), options.activations);
  return loss_of_answers(network.forward_stages(x, first, network.stages().size()), batch.labels,
                         options, device_labels);
}

StepResult add_gradients(StagedNetwork& network, size_t first, const Batch& batch,
                         const StepOptions& options, const StepPosition& position,
                         double loss_scale) {
  const StepPlan& plan = options.plan;
  const int64_t count = batch.x.size(0), limit = plan.micro_batch > 0 ? plan.micro_batch : count;
  const int64_t pieces = ceil_div(count, limit);  // as equal as they can be
  StepResult result;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t begin = i * count / pieces, size = (i + 1) * count / pieces - begin;
    set_dropout_streams(network, position.seed, position.epoch,
                        position.step + (static_cast<uint64_t>(i) << 40));
    const Tensor given =
        to_device(pieces == 1 ? batch.x : batch.x.narrow_batch(begin, size), network.device());
    const Tensor labels = pieces == 1 ? batch.labels : batch.labels.narrow_batch(begin, size);
    const MicroBatch micro{functional::cast(given, options.activations), labels,
                           weight_in(labels, options) / weight_in(batch.labels, options),
                           loss_scale};
    if (plan.recompute)
      run_recomputed(network, first, micro, options, result);
    else
      finish(micro, network.forward_stages(micro.x, first, network.stages().size()), options,
             result);
  }
  return result;
}

TrainingStep::TrainingStep(StagedNetwork& network, size_t first, Optimizer& optimizer,
                           StepOptions options)
    : network_(network), first_(first), optimizer_(optimizer), options_(std::move(options)) {
  if (options_.repeat && !is_cpu(network.device()))
    repeated_ = std::make_unique<RepeatedStep>(network, first, optimizer);
}
TrainingStep::~TrainingStep() = default;

bool TrainingStep::is_recorded() const { return repeated_ && repeated_->is_recorded(); }
int64_t TrainingStep::repeats() const { return repeated_ ? repeated_->repeats() : 0; }

void TrainingStep::check_loss(double loss, const StepPosition& position) const {
  GRAFT_CHECK(std::isfinite(loss) || !options_.checks_loss, "the loss is ", loss, " at step ",
              position.step + 1, " of epoch ", position.epoch, ": lower the learning rate (",
              options_.highest_lr, ")");
}

StepResult TrainingStep::run(const Batch& batch, double lr, const StepPosition& position) {
  const ScopedStop none(nullptr);
  const bool on_cpu = is_cpu(network_.device()), whole = goes_through_whole(batch, options_.plan);
  if (repeated_ && whole && repeated_->takes(batch, options_))
    return repeated_->run(batch, options_, position, lr);
  StepResult result;
  if (whole) {
    const auto [loss, logits] = loss_of(network_, first_, batch, options_, position);
    result.pieces.push_back({loss.detach(), logits.detach(), 1});
    if (on_cpu) check_loss(loss.item(), position);
    optimizer_.backward_and_step(loss, lr);
    if (on_cpu) result.read();
    return result;
  }
  result = add_gradients(network_, first_, batch, options_, position, optimizer_.loss_scale());
  if (on_cpu) {
    result.read();
    check_loss(result.loss, position);
  }
  optimizer_.step(lr);
  network_.zero_grad();
  return result;
}

bool TrainingStep::settle(StepResult& result, const StepPosition& position) {
  result.read();
  check_loss(result.loss, position);
  return optimizer_.settle();
}

void TrainingStep::try_out(const Batch& batch) {
  const HeldStatistics held(network_);
  if (goes_through_whole(batch, options_.plan)) {
    const BatchLoss of = loss_of(network_, first_, batch, options_, {});
    backward(of.loss, [](GradMeta& leaf) { leaf.grad = Tensor(); });
  } else {
    add_gradients(network_, first_, batch, options_);
  }
  network_.zero_grad();
}

}  // namespace graft::train
