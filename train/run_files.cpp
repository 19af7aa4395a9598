#include "graft/train/run_files.h"

#include <span>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/train/memory_plan.h"
#include "graft/train/resumption.h"
#include "graft/train/run_device.h"

namespace graft::train {
namespace {

constexpr const char* kMetricsFile = "metrics.jsonl";

}  // namespace

void RunFiles::start(const Checkpoint& first) {
  is_started_ = true;
  if (context_.options.folder.empty()) return;
  file_system().create_directories(context_.options.folder);
  go_on_from(first);
  save(first);
}

void RunFiles::add(const EpochMetrics& metrics) {
  if (context_.options.folder.empty()) return;
  const std::string line = metrics.to_json() + "\n";
  FileSystem& files = file_system();
  const auto log = files.open_append(files.resolve_links(context_.file(kMetricsFile)));
  log->append(std::as_bytes(std::span(line)));
  log->close();
}

bool RunFiles::is_due() const {
  const std::chrono::duration<double> since = Clock::now() - last_checkpoint_;
  return since.count() >= context_.options.checkpoint_seconds;
}

// The model file first, then the checkpoint that knows of it: after a kill in between, the epochs
// since the older checkpoint are run again and write the same model file.
void RunFiles::save(const Checkpoint& checkpoint) {
  const ScopedStop none(nullptr);
  if (context_.options.save_best && unsaved_best_) {
    StagedNetwork& network = context_.network;
    const StateDict now = copy_of_changing(network);
    put_changing(network, checkpoint.best);
    network.train(false);
    context_.options.save_best(checkpoint.best_epoch, *unsaved_best_);
    put_changing(network, now);
  }
  unsaved_best_ = nullptr;
  last_checkpoint_ = Clock::now();
  if (!context_.options.folder.empty())
    save_checkpoint(context_.file(kCheckpointFile), checkpoint, *context_.task);
}

Checkpoint RunFiles::find_checkpoint() {
  const FitOptions& options = context_.options;
  Recipe& recipe = context_.recipe;
  const std::string path = context_.file(kCheckpointFile);
  GRAFT_CHECK(file_system().exists(path), path, ": there is no checkpoint to resume from");
  Checkpoint c = load_checkpoint(path, *context_.task);
  for (const std::string& text : c.notes) context_.note(text);
  if (options.ram > 0) recipe.step = step_plan_of(c.recipe);
  const std::string longer =
      check_same_recipe(path, c.recipe, context_.recipe_json(), options.more_epochs);
  if (!longer.empty()) context_.note(longer);
  GRAFT_CHECK(c.identity == options.identity, path, ": is of other weights or data than this run");
  if (const std::string here = arithmetic_of(context_.network); c.instruction_set != here)
    context_.note(str("the checkpoint was made with ", c.instruction_set,
                      " instructions, this run uses ", here, ": bits may differ"));
  const size_t trainable = changing(context_.network).size();
  GRAFT_CHECK(c.model.size() == trainable, path, ": has ", c.model.size(),
              " trainable tensors, expected ", trainable);
  GRAFT_CHECK(c.phase == context_.phase, path, ": is of the phase '", c.phase, "', not '",
              context_.phase, "'");
  GRAFT_CHECK(c.epoch <= context_.last_epoch(), path, ": finished ", c.epoch, " of ",
              context_.last_epoch(), " epochs");
  return c;
}

void RunFiles::go_on_from(const Checkpoint& checkpoint) {
  std::string lines;
  for (const EpochMetrics& metrics : checkpoint.history) lines += metrics.to_json() + "\n";
  write_file_atomically(context_.file(kMetricsFile), lines);
}

}  // namespace graft::train
