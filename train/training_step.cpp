#include "graft/train/training_step.h"

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/modules/dropout.h"
#include "graft/train/held_statistics.h"
#include "graft/train/repeated_step.h"

namespace graft::train {

namespace {

// Of the last stage's answers; targets on the host.
BatchLoss loss_of_answers(const Task& task, const Tensor& answers, const Targets& targets,
                          const Targets& placed) {
  const Tensor outputs = functional::cast(answers, DType::f32);
  if (is_cpu(outputs.device())) return {task.loss(outputs, targets), outputs};
  task.check(targets, outputs.shape());
  return {task.loss(outputs, placed.empty() ? targets.on(outputs.device()) : placed), outputs};
}

// Some of a batch's samples, whose gradients add up to the batch's.
struct MicroBatch {
  const Task& task;
  Tensor x;         // where the network lies, in the type of the activations
  Targets targets;  // on the host
  double share;     // of the batch
  double loss_scale;
};

// The loss, and backward from it: its share of the batch's.
void finish(const MicroBatch& micro, const Tensor& answers, StepResult& result) {
  const auto [loss, outputs] = loss_of_answers(micro.task, answers, micro.targets, {});
  result.pieces.push_back({loss.detach(), outputs.detach(), micro.share});
  const double factor = micro.share * micro.loss_scale;
  if (factor == 1)
    backward(loss);
  else
    backward(loss, Tensor::full(loss.shape(), factor, loss.options()));
}

void run_recomputed(StagedNetwork& network, size_t first, const MicroBatch& micro,
                    StepResult& result) {
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
      finish(micro, network.forward_stages(input, stage, stage + 1), result);
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
    outputs.push_back(to_device(piece.outputs, {}));
  }
  pieces.clear();
}

BatchLoss loss_of(StagedNetwork& network, size_t first, const Task& task, const Batch& batch,
                  const StepOptions& options, const StepPosition& position, const Targets& placed) {
  set_dropout_streams(network, position.seed, position.epoch, position.step);
  const Tensor x = functional::cast(to_device(batch.x, network.device()), options.activations);
  return loss_of_answers(task, network.forward_stages(x, first, network.stages().size()),
                         batch.targets, placed);
}

StepResult add_gradients(StagedNetwork& network, size_t first, const Task& task, const Batch& batch,
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
    const Targets targets = batch.targets.narrow(begin, size);
    const MicroBatch micro{task, functional::cast(given, options.activations), targets,
                           task.weight(targets) / task.weight(batch.targets), loss_scale};
    if (plan.recompute)
      run_recomputed(network, first, micro, result);
    else
      finish(micro, network.forward_stages(micro.x, first, network.stages().size()), result);
  }
  return result;
}

TrainingStep::TrainingStep(StagedNetwork& network, size_t first, Task& task, Optimizer& optimizer,
                           StepOptions options)
    : network_(network),
      first_(first),
      task_(task),
      optimizer_(optimizer),
      options_(std::move(options)) {
  GRAFT_CHECK(
      options_.sam == 0 || is_cpu(network.device()),
      "sam is for training on the CPU: a device does not record the two passes of its step");
  task.to(network.device());
  if (options_.sam > 0) {
    std::vector<NamedTensor> trained;
    for (const NamedTensor& p : network.parameters())
      if (requires_grad(p.tensor)) trained.push_back(p);
    sharpness_ = std::make_unique<Sharpness>(std::move(trained), options_.sam);
  }
  if (options_.repeat && !is_cpu(network.device()))
    repeated_ = std::make_unique<RepeatedStep>(network, first, task, optimizer);
}
TrainingStep::~TrainingStep() = default;

bool TrainingStep::is_recorded() const { return repeated_ && repeated_->is_recorded(); }
int64_t TrainingStep::repeats() const { return repeated_ ? repeated_->repeats() : 0; }

void TrainingStep::check_loss(double loss, const StepPosition& position) const {
  GRAFT_CHECK(std::isfinite(loss) || !options_.checks_loss, "the loss is ", loss, " at step ",
              position.step + 1, " of epoch ", position.epoch, ": lower the learning rate (",
              options_.highest_lr, ")");
}

// Of the batch, at the weights plus what Sharpness adds. Dropout masks are those of the first pass;
// running statistics move in the first pass alone.
StepResult TrainingStep::add_sharp_gradients(const Batch& batch, const StepPosition& position) {
  StepResult result = add_gradients(network_, first_, task_, batch, options_, position);
  result.read();
  check_loss(result.loss, position);
  struct Climbed {
    Sharpness& at;
    explicit Climbed(Sharpness& sharpness) : at(sharpness) { at.climb(); }
    ~Climbed() { at.descend(); }
  };
  const Climbed climbed(*sharpness_);
  const HeldStatistics held(network_);
  StepResult there = add_gradients(network_, first_, task_, batch, options_, position);
  there.read();
  check_loss(there.loss, position);
  return result;
}

StepResult TrainingStep::run(const Batch& batch, double lr, const StepPosition& position) {
  const ScopedStop none(nullptr);
  const bool on_cpu = is_cpu(network_.device()), whole = goes_through_whole(batch, options_.plan);
  if (repeated_ && whole && repeated_->takes(batch, options_))
    return repeated_->run(batch, options_, position, lr);
  StepResult result;
  if (sharpness_) {
    result = add_sharp_gradients(batch, position);
    optimizer_.step(lr);
    network_.zero_grad();
    return result;
  }
  if (whole) {
    const auto [loss, outputs] = loss_of(network_, first_, task_, batch, options_, position);
    result.pieces.push_back({loss.detach(), outputs.detach(), 1});
    if (on_cpu) check_loss(loss.item(), position);
    optimizer_.backward_and_step(loss, lr);
    if (on_cpu) result.read();
    return result;
  }
  result =
      add_gradients(network_, first_, task_, batch, options_, position, optimizer_.loss_scale());
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
  if (sharpness_) {
    add_sharp_gradients(batch, {});
  } else if (goes_through_whole(batch, options_.plan)) {
    const BatchLoss of = loss_of(network_, first_, task_, batch, options_, {});
    BackwardPass pass(of.loss);
    while (GradMeta* leaf = pass.next_leaf())
      if (!optimizer_.needs_all_gradients()) leaf->grad = Tensor();
  } else {
    add_gradients(network_, first_, task_, batch, options_);
  }
  network_.zero_grad();
}

}  // namespace graft::train
