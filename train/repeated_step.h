// RepeatedStep: how TrainingStep has a device record a whole step (forward, backward, the
// optimizer's) once and repeat it.
#pragma once
#include "graft/core/tensor/repeated_work.h"
#include "graft/train/optimizer.h"
#include "graft/train/training_step.h"

namespace graft::train {

// What differs from step to step stands on the device, at places of its own: images, targets,
// dropout's streams, the optimizer's numbers and its loss scale. The bits are those of steps that
// are queued anew. Activations, gradients and workspaces stay the recording's as long as this
// lives.
class GRAFT_API RepeatedStep {
 public:
  // Of stages [first, end) and the optimizer of their parameters; all must outlive this.
  RepeatedStep(StagedNetwork& network, size_t first, const Task& task, Optimizer& optimizer);
  ~RepeatedStep();
  RepeatedStep(const RepeatedStep&) = delete;
  RepeatedStep& operator=(const RepeatedStep&) = delete;

  // Whether the step of this batch, which goes through as a whole, is for the call below
  // (repeated_work.h).
  bool takes(const Batch& batch, const StepOptions& options);
  // The step; its result is to be read before the next.
  StepResult run(const Batch& batch, const StepOptions& options, const StepPosition& position,
                 double lr);
  bool is_recorded() const { return work_.is_recorded(); }
  int64_t repeats() const { return repeats_; }  // calls that ran the recording alone

 private:
  struct Place;
  std::vector<Place> places();
  void bring(const Batch& batch);
  void note_changes();
  void tell_of_repeat();

  StagedNetwork& network_;
  size_t first_;
  const Task& task_;
  Optimizer& optimizer_;
  Tensor x_;  // what the recording reads, and the targets
  Targets targets_;
  RepeatedWork work_;
  std::vector<Place> recorded_places_;
  StepResult result_;
  int64_t repeats_ = 0;
};

}  // namespace graft::train
