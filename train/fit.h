// fit(): trains a network by a recipe, keeps the best epoch, and can go on after a kill to the same
// bits.
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/train/features.h"
#include "graft/train/inputs/input.h"
#include "graft/train/metrics.h"
#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

struct Progress {
  const char* phase = "train";  // "statistics", "features", "train", "validate"
  int64_t epoch = 0;            // from 1; 0 before the first
  int64_t epochs = 0;
  int64_t done = 0, total = 0;  // samples of this phase
  double loss = 0;              // mean so far
  Score score{};                // what is watched, so far; no name: nothing is
};

// Everything that does not change the numbers: files, threads, whom to tell.
struct FitOptions {
  std::string folder{};  // metrics.jsonl and last.ckpt.safetensors go here; "": no files
  bool folder_is_locked =
      false;                 // the caller holds lock_run(folder) (run_lock.h); else fit takes it
  bool more_epochs = false;  // resume may go on to another number of epochs than it began with
  bool resume = false;       // go on from folder's checkpoint; bad_input when it is of another run
  std::string identity{};    // source weights and data, as hashes: what a checkpoint must match
  double checkpoint_seconds = 2;  // at most one checkpoint in this time, besides the first and the
                                  // last; with ram one an epoch
  std::vector<std::string>
      neutral_norms{};  // folded batch norms without statistics of their own (models/card.h)
  bool head_is_trained = false;  // the head is no fresh one: its function is where training begins
  int64_t cache_ram =
      int64_t{2}
      << 30;  // bytes of frozen features kept in memory; the others only in folder's features.cache
  int64_t ram = 0;           // bytes that the process may take: the step is planned to keep within
                             // (memory_plan.h); 0: no limit
  bool repeat_steps = true;  // a device records its step once and repeats it (repeated_step.h); it
                             // keeps a step's memory then
  int workers = 0;           // loader threads (LoaderOptions::workers)
  // What is trained for, if it is not what Recipe::task names: a task of the caller's own, for
  // these data.
  std::shared_ptr<Task> task{};
  // What the samples are, if it is not what the preprocessing names: an input of the caller's own.
  std::shared_ptr<const Input> input{};
  // Set: training is left at the next step, every other phase within a second; the checkpoint
  // stays.
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const Progress&)> on_progress{};   // often; may be empty
  std::function<void(const EpochMetrics&)> on_epoch{};  // after each epoch; may be empty
  std::function<void(const StepPlan&)> on_plan{};  // with ram, before the first step; may be empty
  std::function<void(const std::string&)> on_note{};  // sentences for the user; may be empty
  // Writes the finished model file; called with the network holding the best epoch's values and
  // what it did on the validation part, before the checkpoint that knows of it. May be empty.
  std::function<void(int64_t best_epoch, const Metric& validation)> save_best{};
};

// The kept epoch of one phase of a run, on the validation part.
struct PhaseResult {
  int64_t epoch = 0;  // 0: none
  double score = 0;   // the task's first
  double loss = 0;
};

struct FitResult {
  std::vector<EpochMetrics> history{};
  int64_t best_epoch = 0;     // the kept one: the latest that is not shown to be worse (choice.h)
  int64_t highest_epoch = 0;  // the best by its score alone
  double best_score = 0;      // of the kept one: the task's first, on the validation part
  double best_loss = 0;       // likewise
  std::shared_ptr<const Metric> best{};  // of the best epoch's network on the validation part
  // With Recipe::probe_epochs: what each phase came to, and which of them is kept (metrics.h): the
  // one of the lower loss. "" and nothing for a run of one phase.
  std::string kept_phase{};
  PhaseResult probe{}, tuned{};
  bool interrupted = false;
  bool stopped_early = false;   // Recipe::patience was spent
  std::string frozen_sha256{};  // of the frozen tensors, the same before and after; "" when nothing
                                // was frozen
  StepPlan step{};              // micro-batches and recomputation, as planned for FitOptions::ram
  int64_t planned_bytes = 0;    // with ram: what the allocator will have handed out at most
  int64_t repeated_steps = 0;   // that a device repeated from its recording
  int64_t cached_stages = 0;    // leading stages whose features were computed once
};

// A stop or an error within an epoch leaves a checkpoint of the epoch before it, whenever the last
// one was written. On return the network holds the best epoch's values (or, interrupted, those of
// the last step; a head on standardised features takes plain ones either way).
// bad_input for what the recipe or the data make impossible; a loss that is not finite names its
// step.
GRAFT_API FitResult fit(StagedNetwork& network, const io::OpenedData& data,
                        const io::Preprocess& preprocess, const Recipe& recipe,
                        const FitOptions& options);

// The samples that networks of this preprocessing are judged on: of one that takes windows at the
// images' own scale the windows that cover them (io/datasets/windows.h), else the data set's own.
GRAFT_API std::shared_ptr<const io::Dataset> to_judge_on(std::shared_ptr<const io::Dataset> dataset,
                                                         const io::Preprocess& preprocess);

// The network as it is on a data set, in eval mode. Within a ScopedStop (core/runtime/stop.h) it
// ends with Stopped.
GRAFT_API std::unique_ptr<Metric> judge(
    StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
    const io::Preprocess& preprocess, std::shared_ptr<const Task> task, int64_t batch = 32,
    const std::function<void(int64_t done, int64_t total)>& progress = {},
    std::shared_ptr<io::DecodeGate> gate = {},  // decoders keep within it; null: no bound
    std::shared_ptr<const Input> input = {});   // null: what the preprocessing names
// Hears the outputs [N,...] for these samples of the data set.
using AnswersHeard = std::function<void(const Tensor& outputs, std::span<const int64_t> samples)>;
// Through a runner of all stages: in its precision.
GRAFT_API std::unique_ptr<Metric> judge(
    PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset, const io::Preprocess& preprocess,
    std::shared_ptr<const Task> task, int64_t batch = 32,
    const std::function<void(int64_t done, int64_t total)>& progress = {},
    const AnswersHeard& answers = {}, std::shared_ptr<io::DecodeGate> gate = {},
    std::shared_ptr<const Input> input = {});

}  // namespace graft::train
