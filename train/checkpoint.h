// Checkpoint: where a run stands, in one safetensors file that is replaced whole.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/train/metrics.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

// model/<name>, best/<name>, optim/<param>/<slot>, ema/, choice/ and probe/<name> tensors, and
// these fields as JSON in the metadata.
struct Checkpoint {
  StateDict model{};  // the network as it trains
  StateDict best{};   // what the kept epoch's network had where it differs from the frozen source
  StateDict optimizer{};
  StateDict average{};     // WeightAverage::state(); empty without
  std::string recipe{};    // Recipe::to_json()
  std::string identity{};  // what the run is about: source weights and data (FitOptions::identity)
  std::string instruction_set{};
  int64_t epoch = 0;               // epochs finished
  int64_t best_epoch = 0;          // the kept one; 0: none yet
  double best_score = 0;           // that of the task which chooses the epoch
  EpochWorth highest{}, lowest{};  // what later epochs are compared with (EpochChoice)
  std::vector<EpochMetrics> history{};
  // Of a run in phases (probe.h): the one that it is in; in "tune" also the head that the probe
  // kept, its epoch, and the epoch that tuning kept so far (0: none yet).
  std::string phase{};
  StateDict probe{};
  int64_t probe_epoch = 0, tuned_epoch = 0;
  std::vector<std::string>
      notes{};  // of load_checkpoint(), sentences for the user; not in the file
};

// Which scores a run keeps, and where they lie: its task's.
struct KeptScores {
  std::vector<ScoreKind> validation{};  // Task::scores()
  ScoreKind running{};
};
inline KeptScores scores_of(const Task& task) { return {task.scores(), task.running_score()}; }

GRAFT_API void save_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                               const KeptScores& scores);
// bad_input naming the path when it is no checkpoint of graft, of another task, or is damaged.
GRAFT_API Checkpoint load_checkpoint(const std::string& path, const KeptScores& scores);
inline void save_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                            const Task& task) {
  save_checkpoint(path, checkpoint, scores_of(task));
}
inline Checkpoint load_checkpoint(const std::string& path, const Task& task) {
  return load_checkpoint(path, scores_of(task));
}

// What a checkpoint says of its run whatever its task is, to show it.
struct RunRecord {
  std::string recipe{};  // Recipe::to_json()
  std::string identity{};
  int64_t epoch = 0;       // epochs finished
  int64_t best_epoch = 0;  // 0: none yet
  std::vector<EpochMetrics>
      history{};  // the score that chooses the epoch is the first of EpochMetrics::val
};
// bad_input naming the path when it is no checkpoint of graft or is damaged.
GRAFT_API RunRecord load_run_record(const std::string& path);

}  // namespace graft::train
