#include "graft/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "graft/core/autograd/record.h"
#include "graft/core/runtime/stop.h"
#include "graft/train/choice.h"
#include "graft/train/run_device.h"
#include "graft/train/schedule.h"

namespace graft::train {
namespace {

using EpochClock = std::chrono::steady_clock;
double seconds_since(EpochClock::time_point start) {
  return std::chrono::duration<double>(EpochClock::now() - start).count();
}

}  // namespace

Trainer::Trainer(RunContext& context, RunFiles& files, Optimizer& optimizer, FitResult& result)
    : context_(context),
      files_(files),
      optimizer_(optimizer),
      result_(result),
      choice_(context.task->scores()[0].higher_is_better) {}

Checkpoint Trainer::state() {
  return {changing(context_.network),
          best_,
          optimizer_.state(),
          context_.recipe.to_json(),
          context_.options.identity,
          arithmetic_of(context_.network),
          done_,
          result_.best_epoch,
          result_.best_score,
          choice_.highest(),
          choice_.lowest(),
          result_.history};
}

void Trainer::restore(const Checkpoint& c) {
  if (context_.goes_on) {  // else the network is still what the run begins with
    put_changing(context_.network, c.model);
    optimizer_.load_state(c.optimizer);
  }
  best_ = c.best;
  done_ = c.epoch;
  result_.history = c.history;
  result_.best_epoch = c.best_epoch;
  result_.best_score = c.best_epoch > 0 ? c.best_score : 0;
  choice_ = EpochChoice(c.highest, c.lowest, context_.task->scores()[0].higher_is_better);
  result_.highest_epoch = choice_.highest().epoch;
  result_.best_loss = std::numeric_limits<double>::quiet_NaN();
  for (const EpochMetrics& metrics : c.history)
    if (metrics.epoch == c.best_epoch) result_.best_loss = metrics.val_score("loss");
}

bool Trainer::is_spent() const {
  const int64_t patience = context_.recipe.patience;
  return patience > 0 && done_ - choice_.last_better() >= patience;
}

void Trainer::run(FeatureStage& features, TrainingStep& step) {
  Stages stages{features, step, features.training_source(), features.validation_source()};
  GRAFT_CHECK(stages.train->batches() > 0, "one training sample is too few");
  if (!context_.options.resume) files_.start(state());
  for (int64_t epoch = done_ + 1; epoch <= context_.recipe.epochs && !is_spent(); ++epoch)
    run_epoch(stages, epoch);
  finish(stages);
}

void Trainer::run_epoch(Stages& stages, int64_t epoch) {
  const auto start = EpochClock::now();
  EpochMetrics metrics = train_epoch(stages, epoch);
  stages.features.with_plain_head([&] { keep_best(validate(stages, epoch), metrics); });
  metrics.seconds = seconds_since(start);
  done_ = epoch;
  result_.history.push_back(metrics);
  files_.add(metrics);
  if (context_.options.on_epoch) context_.options.on_epoch(metrics);
  keep_epoch();
}

// In a file when one is due, else in memory, for a stop or an error within the next epoch. A run
// that plans its memory has none for that.
void Trainer::keep_epoch() {
  const FitOptions& options = context_.options;
  const bool is_last = done_ == context_.recipe.epochs || is_spent();
  if (is_last || options.ram > 0 || files_.is_due()) {
    files_.save(state());
    unsaved_.reset();
    return;
  }
  if (options.folder.empty() && !options.save_best) return;
  const ScopedStop none(nullptr);
  Checkpoint finished = state();
  finished.model = copy_of_changing(context_.network);
  finished.optimizer = {};
  for (const auto& [name, tensor] : optimizer_.state())
    finished.optimizer.add(name, host_copy(tensor));
  unsaved_ = std::move(finished);
}

void Trainer::keep_finished_epochs() {
  if (unsaved_) files_.save(*unsaved_);
  unsaved_.reset();
}

// Keeps the network unless this epoch's is shown to be worse than another.
void Trainer::keep_best(std::shared_ptr<const Metric> metric, EpochMetrics& metrics) {
  if (metric->not_finite() > 0)
    context_.note(str("the network's answers to ", metric->not_finite(), " of ", metric->samples(),
                      " validation images are not finite numbers after epoch ", metrics.epoch));
  const std::vector<ScoreKind>& kinds = context_.task->scores();
  const std::vector<double> scores = metric->scores();
  GRAFT_ASSERT(scores.size() == kinds.size() && !scores.empty());
  for (size_t i = 0; i < kinds.size(); ++i) metrics.val.push_back({kinds[i].name, scores[i]});
  const EpochWorth worth{metrics.epoch, scores[0], metric->loss(), metric->per_sample()};
  const bool is_kept = choice_.hear(worth);
  result_.highest_epoch = choice_.highest().epoch;
  if (!is_kept) return;
  result_.best_score = worth.score;
  result_.best_loss = worth.loss;
  result_.best_epoch = metrics.epoch;
  result_.best = std::move(metric);
  best_ = copy_of_changing(context_.network);
  files_.best_is_new(result_.best);
}

EpochMetrics Trainer::train_epoch(Stages& stages, int64_t epoch) {
  const Recipe& recipe = context_.recipe;
  BatchSource& source = *stages.train;
  context_.network.train(true);
  const auto start = EpochClock::now();
  const ScheduleOptions schedule{recipe.schedule, recipe.lr, recipe.epochs * source.batches(),
                                 recipe.warmup_epochs * source.batches()};
  int64_t step = (epoch - 1) * source.batches(), seen = 0, left_out = 0;
  double loss_sum = 0, score_sum = 0;
  const Task& task = *context_.task;
  EpochMetrics metrics{.epoch = epoch, .train = {task.running_score().name}};
  source.start(epoch - 1);
  Batch batch;
  for (bool more = source.next(batch); more; ++step) {
    check_stop();
    metrics.lr = learning_rate(schedule, step);
    const StepPosition position{recipe.seed, static_cast<uint64_t>(epoch),
                                static_cast<uint64_t>(step)};
    StepResult answer = stages.step.run(batch, metrics.lr, position);
    const Targets targets = batch.targets;
    const auto count = std::ssize(batch.samples);
    more = source.next(batch);  // while a device works
    left_out += !stages.step.settle(answer, position);
    int64_t first = 0;
    for (const Tensor& outputs : answer.outputs) {
      score_sum += task.running_sum(outputs, targets.narrow(first, outputs.size(0)));
      first += outputs.size(0);
    }
    seen += count;
    loss_sum += answer.loss * static_cast<double>(count);
    metrics.loss = loss_sum / static_cast<double>(seen);
    metrics.train.value = score_sum / static_cast<double>(seen);
    if (context_.options.on_progress)
      context_.options.on_progress(
          {"train", epoch, recipe.epochs, seen, source.samples(), metrics.loss, metrics.train});
  }
  if (left_out > 0)
    context_.note(str(left_out, left_out == 1 ? " step" : " steps", " of epoch ", epoch,
                      " skipped: a gradient was not finite; the loss scale is now ",
                      optimizer_.loss_scale()));
  metrics.images_per_s = static_cast<double>(seen) / std::max(seconds_since(start), 1e-9);
  return metrics;
}

std::shared_ptr<const Metric> Trainer::validate(Stages& stages, int64_t epoch) {
  const NoGradGuard no_grad;
  context_.network.train(false);
  const std::shared_ptr<Metric> metric = context_.task->metric();
  BatchSource& source = *stages.val;
  source.start(0);
  Batch batch;
  for (bool more = source.next(batch); more;) {
    check_stop();
    const Tensor outputs = stages.features.answers(batch.x);
    const Targets targets = batch.targets;
    more = source.next(batch);  // while a device works
    metric->add(outputs, targets);
    if (context_.options.on_progress)
      context_.options.on_progress({"validate",
                                    epoch,
                                    context_.recipe.epochs,
                                    metric->samples(),
                                    source.samples(),
                                    0,
                                    {context_.task->scores()[0].name, metric->score_so_far()}});
  }
  return metric;
}

// Leaves the best epoch's values in the network, and knows their evaluation.
void Trainer::finish(Stages& stages) {
  result_.stopped_early = done_ < context_.recipe.epochs;
  put_changing(context_.network, best_);
  stages.features.head_is_plain();
  context_.network.train(false);
  if (!result_.best) result_.best = validate(stages, result_.best_epoch);
  stages.features.remove_file();
}

}  // namespace graft::train
