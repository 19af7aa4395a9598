// RunFiles: what a run keeps in its folder: metrics.jsonl, the checkpoint, and by FitOptions the
// model of the best epoch.
#pragma once
#include <chrono>

#include "graft/train/checkpoint.h"
#include "graft/train/run_context.h"

namespace graft::train {

inline constexpr const char* kCheckpointFile = "last.ckpt.safetensors";  // in the folder

class RunFiles {
 public:
  explicit RunFiles(RunContext& context) : context_(context) {}

  // Begins anew, with a checkpoint of what there is before the first epoch (of a phase).
  void start(const Checkpoint& first);
  bool is_started() const { return is_started_; }
  // The checkpoint to go on from. bad_input when there is none or it is of another run. Sets the
  // step that was planned.
  Checkpoint find_checkpoint();
  // Goes on from it: metrics.jsonl is as it was then.
  void go_on_from(const Checkpoint& checkpoint);
  void add(const EpochMetrics& metrics);
  // The network's best epoch is a new one, which did so: the next save() writes its model.
  void best_is_new(std::shared_ptr<const Metric> validation) {
    unsaved_best_ = std::move(validation);
  }
  bool is_due() const;  // FitOptions::checkpoint_seconds since the last one
  void save(const Checkpoint& checkpoint);

 private:
  using Clock = std::chrono::steady_clock;
  RunContext& context_;
  bool is_started_ = false;
  std::shared_ptr<const Metric> unsaved_best_;  // null: the best epoch's model is written
  Clock::time_point last_checkpoint_ = Clock::now();
};

}  // namespace graft::train
