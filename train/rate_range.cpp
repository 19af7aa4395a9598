#include "graft/train/rate_range.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/runtime/stop.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/train/freezing.h"
#include "graft/train/inputs/table.h"
#include "graft/train/mixing.h"
#include "graft/train/run_device.h"
#include "graft/train/run_setup.h"
#include "graft/train/tasks/table.h"

namespace graft::train {
namespace {

constexpr double kSmoothing = 0.98, kTooHigh = 4, kClearlyLower = 0.99;

// A network as it was: all its tensors, what is frozen, which norms keep their statistics. It is
// left in evaluation mode, as fit() leaves it.
class NetworkBefore {
 public:
  explicit NetworkBefore(StagedNetwork& network) : network_(network), frozen_(network) {
    for (const auto& [name, tensor] : network.state_dict()) before_.add(name, host_copy(tensor));
    network.train(true);
    network.for_each_module([&](const std::string&, Module& module) {
      auto* norm = dynamic_cast<BatchNorm2d*>(&module);
      if (norm && norm->training()) norms_.emplace_back(norm, !norm->normalises_by_batch());
    });
  }
  ~NetworkBefore() {
    network_.zero_grad();
    for (const auto& [name, tensor] : network_.state_dict())
      Tensor(tensor).copy_from(before_.at(name));
    frozen_.put_back();
    for (const auto& [norm, is_fixed] : norms_) norm->fix_statistics(is_fixed);
    network_.train(false);
  }
  NetworkBefore(const NetworkBefore&) = delete;
  NetworkBefore& operator=(const NetworkBefore&) = delete;

 private:
  StagedNetwork& network_;
  FrozenParts frozen_;
  StateDict before_;
  std::vector<std::pair<BatchNorm2d*, bool>> norms_;
};

// Adds losses up to a mean in which older ones count for less.
class SmoothedLoss {
 public:
  double add(double loss) {
    mean_ = kSmoothing * mean_ + (1 - kSmoothing) * loss;
    weight_ = kSmoothing * weight_ + (1 - kSmoothing);
    return mean_ / weight_;
  }

 private:
  double mean_ = 0, weight_ = 0;
};

// Ends where it should: by the number of steps, by a loss that rose too far.
class Climb {
 public:
  Climb(const RateRangeOptions& range, RateRange& result) : range_(range), result_(result) {}

  double rate() const {
    const double share =
        static_cast<double>(std::ssize(result_.steps)) / static_cast<double>(range_.steps - 1);
    return range_.from * std::pow(range_.to / range_.from, share);
  }
  bool is_over() const { return result_.diverged || std::ssize(result_.steps) >= range_.steps; }
  void hear(double lr, double loss) {
    if (!std::isfinite(loss)) {
      result_.steps.push_back({lr, loss, std::numeric_limits<double>::quiet_NaN()});
      result_.diverged = true;
      return;
    }
    const double smoothed = smooth_.add(loss);
    lowest_ = std::min(lowest_, smoothed);
    result_.steps.push_back({lr, loss, smoothed});
    result_.diverged = smoothed > kTooHigh * lowest_ && lowest_ > 0;
  }

 private:
  const RateRangeOptions& range_;
  RateRange& result_;
  SmoothedLoss smooth_;
  double lowest_ = std::numeric_limits<double>::infinity();
};

void run_climb(RunContext& context, Climb& climb) {
  StagedNetwork& network = context.network;
  give_statistics(context);
  if (context.recipe.batch_norm == "adapt")
    reestimate_statistics(network, *context.statistics_loader(), context.hear("statistics"));
  network.train(true);
  const std::unique_ptr<Optimizer> optimizer = optimizer_of(context);
  FeatureStage features(context);
  StepOptions options = step_options(context, features);
  options.checks_loss = false;
  TrainingStep step(network, features.first(), *context.task, *optimizer, options);
  const std::unique_ptr<BatchSource> source = features.training_source();
  GRAFT_CHECK(source->batches() > 0, "one training sample is too few");
  const auto heard = context.hear("train");
  int64_t taken = 0;
  for (int64_t epoch = 1; !climb.is_over(); ++epoch) {
    source->start(epoch - 1);
    Batch batch;
    while (!climb.is_over() && source->next(batch)) {
      check_stop();
      mix(batch, context.recipe, *context.task, epoch, taken);
      const StepPosition position{context.recipe.seed, static_cast<uint64_t>(epoch),
                                  static_cast<uint64_t>(taken)};
      const double lr = climb.rate();
      StepResult result = step.run(batch, lr, position);
      step.settle(result, position);
      climb.hear(lr, result.loss);
      ++taken;
      heard(taken, context.recipe.epochs);
    }
  }
  features.make_head_plain();
}

}  // namespace

SuggestedRate suggested_rate(std::span<const RateStep> steps) {
  const auto of = [](const RateStep& step) {
    return std::isfinite(step.smoothed) ? step.smoothed : std::numeric_limits<double>::infinity();
  };
  const auto lowest =
      std::min_element(steps.begin(), steps.end(),
                       [&](const RateStep& a, const RateStep& b) { return of(a) < of(b); });
  if (lowest == steps.end() || !std::isfinite(of(*lowest)))
    return {0, "no rate is suggested: no loss was finite"};
  if (!(lowest->smoothed < kClearlyLower * steps.front().smoothed) && steps.front().smoothed > 0)
    return {0, "no rate is suggested: the loss did not fall at any"};
  return {lowest->lr / 10, "a tenth of the rate at which the smoothed loss was lowest"};
}

RateRange rate_range(StagedNetwork& network, const io::OpenedData& data,
                     const io::Preprocess& preprocess, const Recipe& asked,
                     const FitOptions& options, const RateRangeOptions& range) {
  GRAFT_CHECK(range.from > 0 && range.to > range.from && std::isfinite(range.to),
              "range test: rates from ", range.from, " to ", range.to, " do not rise from above 0");
  GRAFT_CHECK(range.steps >= 10 && range.steps <= 100000, "range test: ", range.steps,
              " steps are not between 10 and 100000");
  Recipe recipe = asked;
  recipe.probe_epochs = 0;
  recipe.warmup_epochs = 0;
  recipe.epochs = range.steps;  // of which what is heard counts
  recipe.validate();
  GRAFT_CHECK(data.train != nullptr, "a range test needs a training part");
  FitOptions own = options;
  own.folder.clear();
  own.save_best = {};
  own.resume = false;
  own.ram = 0;
  const std::shared_ptr<Task> task = options.task ? options.task : make_task(recipe, data);
  io::OpenedData trained = data;
  trained.train = task->to_train_on(data.train);
  if (!trained.val) trained.val = trained.train;  // nothing is judged
  const auto input = options.input ? options.input : input_of(preprocess);
  RunContext context{
      network, trained, preprocess, recipe, own, task, augmentation(*input, recipe, data)};
  RateRange result;
  check_device(context);
  check_mixing(context);
  const NetworkBefore before(network);
  apply_freezing(network, recipe);
  Climb climb(range, result);
  try {
    const ScopedStop stop(own.stop);
    run_climb(context, climb);
  } catch (const Stopped&) {
    result.interrupted = true;
  }
  auto [rate, reason] = suggested_rate(result.steps);
  result.suggested = rate;
  result.reason = std::move(reason);
  return result;
}

}  // namespace graft::train
