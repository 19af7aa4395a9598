// Trainer: walks the epochs of a run: trains, validates, keeps the best and says how it goes.
#pragma once
#include <memory>
#include <optional>

#include "graft/train/choice.h"
#include "graft/train/feature_stage.h"
#include "graft/train/run_files.h"
#include "graft/train/training_step.h"
#include "graft/train/weight_average.h"

namespace graft::train {

class Trainer {
 public:
  // `result` is filled as it goes; all must outlive this.
  Trainer(RunContext& context, RunFiles& files, Optimizer& optimizer, FitResult& result);

  // Where the run stands, for a checkpoint; and back to there.
  Checkpoint state();
  void restore(const Checkpoint& checkpoint);
  // Trains what `features` leaves over, from the epoch after the last that is done; a new run's
  // files begin here.
  void run(FeatureStage& features, TrainingStep& step);
  // After a stop or an error: writes the checkpoint of the last finished epoch, where that was not
  // due. The network is left as it is.
  void keep_finished_epochs();

 private:
  struct Stages {
    FeatureStage& features;
    TrainingStep& step;
    std::unique_ptr<BatchSource> train, val;
  };
  bool is_spent() const;
  void judge_probe(Stages& stages);
  double plateau() const;
  void run_epoch(Stages& stages, int64_t epoch);
  void keep_epoch();
  EpochMetrics train_epoch(Stages& stages, int64_t epoch);
  std::shared_ptr<const Metric> validate(Stages& stages, int64_t epoch);
  void keep_best(std::shared_ptr<const Metric> metric, EpochMetrics& metrics);
  void keep(const PhaseResult& of, std::shared_ptr<const Metric> metric, StateDict state);
  void keep_probe();
  void finish(Stages& stages);

  RunContext& context_;
  RunFiles& files_;
  Optimizer& optimizer_;
  FitResult& result_;
  std::optional<WeightAverage> average_;  // with Recipe::ema, from the first step on
  StateDict best_;
  // After a probe: what its network had of what now changes, and how that is judged.
  StateDict probe_;
  std::shared_ptr<const Metric> probe_metric_;
  EpochChoice choice_;
  std::optional<Checkpoint> unsaved_;  // of the last finished epoch, where the file is of another
  int64_t done_ = 0;                   // epochs finished, those of the phases before too
};

}  // namespace graft::train
