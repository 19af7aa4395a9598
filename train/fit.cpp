#include "graft/train/fit.h"

#include <optional>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/datasets/windows.h"
#include "graft/train/freezing.h"
#include "graft/train/run_lock.h"
#include "graft/train/run_memory.h"
#include "graft/train/tasks/table.h"
#include "graft/train/trainer.h"

namespace graft::train {
namespace {

// One run of fit(): its parts, put together in the order in which they are prepared.
class Run {
 public:
  explicit Run(RunContext context) : context_(std::move(context)), files_(context_) {}

  FitResult operator()() {
    check();
    if (context_.options.ram > 0) largest_image_ = plan_decoding(context_);
    apply_freezing(context_.network, context_.recipe);
    try {
      const ScopedStop stop(context_.options.stop);
      prepare();
      trainer_->run(*features_, *step_);
    } catch (const Stopped&) {
      result_.interrupted = true;
      if (trainer_) trainer_->keep_finished_epochs();
      leave();
    } catch (...) {  // a loss that is not finite, an image that is gone
      keep_after_error();
      throw;
    }
    if (step_) result_.repeated_steps = step_->repeats();
    result_.frozen_sha256 = frozen_sha256(context_.network);
    GRAFT_ASSERT(!frozen_before_ || result_.frozen_sha256 == *frozen_before_);
    return std::move(result_);
  }

 private:
  void check() const {
    const Recipe& recipe = context_.recipe;
    GRAFT_CHECK(!context_.on_cpu() || recipe.precision != "fp16",
                "precision fp16 is for a CUDA device; the CPU trains in fp32 or bf16");
    GRAFT_CHECK(context_.on_cpu() || context_.options.ram == 0,
                "memory planning counts the host's bytes: --ram is for training on the CPU");
  }

  void prepare() {
    StagedNetwork& network = context_.network;
    give_statistics();
    if (context_.recipe.batch_norm == "adapt")
      reestimate_statistics(network, *context_.statistics_loader(), context_.hear("statistics"));
    network.train(true);
    frozen_before_ = frozen_sha256(network);
    optimizer_ = make_optimizer_of_recipe();
    trainer_.emplace(context_, files_, *optimizer_, result_);
    if (context_.options.resume) resume();
    features_.emplace(context_);
    if (features_->caches()) result_.cached_stages = static_cast<int64_t>(features_->first());
    step_.emplace(network, features_->first(), *context_.task, *optimizer_, step_options());
    if (context_.options.ram == 0) return;
    result_.planned_bytes = plan_step(context_, *features_, *optimizer_, *step_, largest_image_);
    result_.step = context_.recipe.step;
  }

  // After a stop. One that came while features were computed leaves a checkpoint too, so that they
  // are gone on with.
  void leave() {
    if (trainer_ && !context_.options.resume && !files_.is_started() && context_.options.ram == 0)
      files_.start(trainer_->state());
    if (features_) features_->make_head_plain();
  }

  void keep_after_error() {
    try {
      if (trainer_) trainer_->keep_finished_epochs();
    } catch (const std::exception& error) {
      context_.note(str("the last finished epoch could not be kept: ", error.what()));
    }
  }

  // A resumed run has them in its checkpoint, but starts from the same network as the first: the
  // pass is cheap.
  void give_statistics() {
    const auto moving =
        norms_that_move(context_.network, context_.options.neutral_norms, context_.recipe);
    if (moving.empty()) return;
    context_.note(
        str(moving.size(),
            " batch norms were folded into their convolutions: one pass over the training images "
            "gives them statistics; the network's function stays the same"));
    take_statistics(context_.network, moving,
                    *context_.loader(context_.data.train, context_.recipe.batch, false),
                    context_.hear("statistics"));
  }

  std::unique_ptr<Optimizer> make_optimizer_of_recipe() {
    const Recipe& recipe = context_.recipe;
    std::vector<NamedTensor> trainable;
    for (const NamedTensor& p : context_.network.parameters())
      if (requires_grad(p.tensor)) trainable.push_back(p);
    OptimizerOptions options = recipe.optimizer;
    if (const Linear* head =
            recipe.standardize && recipe.head_prior ? lone_linear_head(context_.network) : nullptr)
      options.weight_decay =
          head_weight_decay(head->weight().shape()[1], context_.data.train->size()) /
          static_cast<double>(context_.task->terms());
    if (recipe.precision == "fp16") options.loss_scale = recipe.loss_scale;
    return make_optimizer(std::move(trainable), options);
  }

  void resume() {
    const Checkpoint checkpoint = files_.find_checkpoint();
    context_.goes_on = checkpoint.epoch > 0;
    trainer_->restore(checkpoint);
    files_.go_on_from(checkpoint);
    context_.note(str("resumed after epoch ", checkpoint.epoch, " of ", context_.recipe.epochs));
  }

  StepOptions step_options() const {
    return {.plan = context_.recipe.step,
            .activations = features_->activations(),
            .repeat = context_.options.repeat_steps,
            .highest_lr = context_.recipe.lr};
  }

  RunContext context_;
  RunFiles files_;
  FitResult result_;
  std::string largest_image_;  // with FitOptions::ram: the one whose decoding takes most
  std::optional<std::string> frozen_before_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<Trainer> trainer_;
  std::optional<FeatureStage> features_;
  std::optional<TrainingStep> step_;
};

}  // namespace

std::shared_ptr<const io::Dataset> to_judge_on(std::shared_ptr<const io::Dataset> dataset,
                                               const io::Preprocess& preprocess) {
  if (!preprocess.own_scale) return dataset;
  return io::windows_of(std::move(dataset), preprocess.size, preprocess.input_width());
}

FitResult fit(StagedNetwork& network, const io::OpenedData& data, const io::Preprocess& preprocess,
              const Recipe& recipe, const FitOptions& options) {
  std::unique_ptr<FileLock> lock;
  if (!options.folder.empty() && !options.folder_is_locked)
    lock = lock_run(options.folder, options.on_note);
  recipe.validate();
  GRAFT_CHECK(data.train && data.val, "training needs a training and a validation part");
  const std::shared_ptr<Task> task = options.task ? options.task : make_task(recipe, data);
  io::OpenedData own = data;
  own.train = task->to_train_on(data.train);
  own.val = to_judge_on(data.val, preprocess);
  return Run(
      {network, own, preprocess, recipe, options, task, io::augment_named(recipe.augment)})();
}

std::unique_ptr<Metric> judge(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
                              const io::Preprocess& preprocess, std::shared_ptr<const Task> task,
                              int64_t batch, const std::function<void(int64_t, int64_t)>& progress,
                              std::shared_ptr<io::DecodeGate> gate) {
  network.train(false);
  PrefixRunner run(network, network.stages().size());
  return judge(run, std::move(dataset), preprocess, std::move(task), batch, progress, {},
               std::move(gate));
}

std::unique_ptr<Metric> judge(PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset,
                              const io::Preprocess& preprocess, std::shared_ptr<const Task> task,
                              int64_t batch, const std::function<void(int64_t, int64_t)>& progress,
                              const AnswersHeard& answers, std::shared_ptr<io::DecodeGate> gate) {
  BatchLoader loader(to_judge_on(std::move(dataset), preprocess), preprocess,
                     {.batch = batch,
                      .device = run.device(),
                      .task = task,
                      .gate = std::move(gate),
                      .cache_bytes = 0});  // each image is seen once
  std::unique_ptr<Metric> metric = task->metric();
  loader.start(0);
  Batch b;
  for (bool more = loader.next(b); more;) {
    const Tensor outputs = run(b.x);
    const Targets targets = b.targets;
    const std::vector<int64_t> samples = b.samples;
    more = loader.next(b);  // while a device works
    metric->add(outputs, targets);
    if (answers) answers(outputs, samples);
    if (progress) progress(metric->samples(), loader.samples());
  }
  return metric;
}

}  // namespace graft::train
