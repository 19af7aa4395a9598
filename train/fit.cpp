#include "graft/train/fit.h"

#include <optional>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/datasets/windows.h"
#include "graft/train/freezing.h"
#include "graft/train/inputs/table.h"
#include "graft/train/run_lock.h"
#include "graft/train/run_memory.h"
#include "graft/train/run_setup.h"
#include "graft/train/tasks/table.h"
#include "graft/train/trainer.h"

namespace graft::train {
namespace {

// One run of fit(): its parts, put together in the order in which they are prepared.
class Run {
 public:
  explicit Run(RunContext context) : context_(std::move(context)), files_(context_) {}

  FitResult operator()() {
    check_device(context_);
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
  void prepare() {
    StagedNetwork& network = context_.network;
    give_statistics(context_);
    const bool probe_did = context_.probe && !context_.options.resume;
    if (context_.recipe.batch_norm == "adapt" && !probe_did)
      reestimate_statistics(network, *context_.statistics_loader(), context_.hear("statistics"));
    network.train(true);
    frozen_before_ = frozen_sha256(network);
    optimizer_ = optimizer_of(context_);
    trainer_.emplace(context_, files_, *optimizer_, result_);
    if (context_.options.resume) resume();
    features_.emplace(context_);
    if (features_->caches()) result_.cached_stages = static_cast<int64_t>(features_->first());
    step_.emplace(network, features_->first(), *context_.task, *optimizer_,
                  step_options(context_, *features_));
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

  void resume() {
    const Checkpoint checkpoint = files_.find_checkpoint();
    context_.goes_on = checkpoint.epoch > context_.epochs_before();
    trainer_->restore(checkpoint);
    files_.go_on_from(checkpoint);
    context_.note(str("resumed after epoch ", checkpoint.epoch, " of ", context_.all_epochs()));
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

// The probe of a checkpoint whose run tunes, whose head then is in the network; null for one that
// still probes.
std::shared_ptr<const KeptProbe> probe_before(RunContext& context) {
  const std::string path = context.file(kCheckpointFile);
  if (!context.options.resume || !file_system().exists(path)) return nullptr;
  Checkpoint c = load_checkpoint(path, *context.task);
  if (c.phase != kTunePhase) return nullptr;
  put_probe(context.network, context.recipe, c.probe, path);
  KeptProbe probe{std::move(c.probe), std::move(c.history), c.probe_epoch};
  std::erase_if(probe.history, [](const EpochMetrics& m) { return m.phase != kProbePhase; });
  return std::make_shared<KeptProbe>(std::move(probe));
}

// The probe of a new run, or of one that is still in it. Null when it was interrupted.
std::shared_ptr<const KeptProbe> run_probe(RunContext context, FitResult& result) {
  const FrozenParts before(context.network);
  context.whole = context.recipe;
  context.recipe = probe_recipe(context.recipe);
  context.augment = {};
  context.phase = kProbePhase;
  context.note(str("probe: the head alone, on frozen features, for ", context.recipe.epochs,
                   " epochs; then ", context.whole->epochs, " of everything not frozen"));
  StagedNetwork& network = context.network;
  result = Run(std::move(context))();
  if (result.interrupted) return nullptr;
  KeptProbe probe{copy_of_changing(network), result.history, result.best_epoch};
  before.put_back();
  return std::make_shared<KeptProbe>(std::move(probe));
}

FitResult probe_then_tune(const RunContext& of_run) {
  RunContext context = of_run;
  FitOptions options = context.options;
  context.probe = probe_before(context);
  if (!context.probe) {
    FitResult result;
    context.probe = run_probe(context, result);
    if (!context.probe) return result;
    options.resume = false;  // tuning begins
  }
  options.head_is_trained = true;
  RunContext tuning{context.network, context.data, context.preprocess, context.recipe,
                    options,         context.task, context.augment};
  tuning.phase = kTunePhase;
  tuning.probe = context.probe;
  return Run(std::move(tuning))();
}

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
  const auto input = options.input ? options.input : input_of(preprocess);
  GRAFT_CHECK(input->has_places() || task->head().decoder.empty(), "task ", task->name(),
              " answers with places in a sample, and samples of input ", input->name(),
              " have none");
  RunContext context{
      network, own, preprocess, recipe, options, task, augmentation(*input, recipe, data)};
  check_mixing(context);
  return recipe.probe_epochs > 0 ? probe_then_tune(context) : Run(std::move(context))();
}

std::unique_ptr<Metric> judge(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
                              const io::Preprocess& preprocess, std::shared_ptr<const Task> task,
                              int64_t batch, const std::function<void(int64_t, int64_t)>& progress,
                              std::shared_ptr<io::DecodeGate> gate,
                              std::shared_ptr<const Input> input) {
  network.train(false);
  PrefixRunner run(network, network.stages().size());
  return judge(run, std::move(dataset), preprocess, std::move(task), batch, progress, {},
               std::move(gate), std::move(input));
}

std::unique_ptr<Metric> judge(PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset,
                              const io::Preprocess& preprocess, std::shared_ptr<const Task> task,
                              int64_t batch, const std::function<void(int64_t, int64_t)>& progress,
                              const AnswersHeard& answers, std::shared_ptr<io::DecodeGate> gate,
                              std::shared_ptr<const Input> input) {
  LoaderOptions options;
  options.batch = batch;
  options.device = run.device();
  options.task = task;
  options.gate = std::move(gate);
  options.cache_bytes = 0;  // each sample is seen once
  options.input = std::move(input);
  BatchLoader loader(to_judge_on(std::move(dataset), preprocess), preprocess, options);
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
