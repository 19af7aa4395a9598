// TrainingStep: forward, backward and the optimizer's step of one batch. The only place where a
// loss meets the weights.
#pragma once
#include <memory>
#include <vector>

#include "graft/layers/modules/staged_network.h"
#include "graft/train/loader.h"
#include "graft/train/optimizer.h"
#include "graft/train/sharpness.h"
#include "graft/train/step_plan.h"

namespace graft::train {

struct GRAFT_API StepResult {
  // What a device computes while the host goes on: read() waits for it, once a step, and fills in
  // what follows.
  void read();
  double loss = 0;                // mean over the batch
  std::vector<Tensor> outputs{};  // of the network, f32 [n,...] on the host: the batch's, in order

  struct Piece {
    Tensor loss{}, outputs{};
    double share;  // of the batch
  };
  std::vector<Piece> pieces{};  // not read yet
};

// Which step of a run it is: what its random numbers are a function of.
struct StepPosition {
  uint64_t seed = 0;
  uint64_t epoch = 0;  // from 1
  uint64_t step = 0;   // of the run, from 0
};

struct StepOptions {
  StepPlan plan{};
  DType activations =
      DType::f32;  // f32 or bf16, away from the CPU f16 too: what stages take; the loss is of f32
  bool repeat = false;  // a device records its step once and repeats it (repeated_step.h); it keeps
                        // a step's memory then
  bool checks_loss = true;  // bad_input when the loss is not finite
  double highest_lr = 0;    // of the run: what is then to be lowered
  double sam = 0;           // > 0: sharpness.h: two passes a step, the second's gradients are taken
};

class RepeatedStep;

// One thread at a time. The network, in training mode, the task and the optimizer of the network's
// parameters must outlive this.
class GRAFT_API TrainingStep {
 public:
  // Of stages [first, end); the task goes to the network's device. bad_input for sam on a device:
  // the two passes of its step are not recorded.
  TrainingStep(StagedNetwork& network, size_t first, Task& task, Optimizer& optimizer,
               StepOptions options);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // Takes the step whole, whoever asks to stop. batch.x is what stage `first` takes, and goes to
  // the network's device with the targets. The result is to be read before the next call. On the
  // CPU the loss is looked at before a parameter changes: bad_input when it is not finite; a device
  // has it queued, and settle() looks. bad_input for a target that the task does not know.
  StepResult run(const Batch& batch, double lr, const StepPosition& position = {});
  // Waits for a device and reads the result: bad_input when its loss is not finite. False: the step
  // was skipped: a gradient was not finite (loss_scale.h).
  bool settle(StepResult& result, const StepPosition& position = {});
  // A step that changes no parameter and keeps no gradient, for what it takes in memory. Running
  // statistics stay as they are.
  void try_out(const Batch& batch);

  void set_plan(const StepPlan& plan) { options_.plan = plan; }
  void set_activations(DType activations) { options_.activations = activations; }
  bool is_recorded() const;
  int64_t repeats() const;  // steps that a device repeated from its recording

 private:
  void check_loss(double loss, const StepPosition& position) const;
  StepResult add_sharp_gradients(const Batch& batch, const StepPosition& position);

  StagedNetwork& network_;
  size_t first_;
  const Task& task_;
  Optimizer& optimizer_;
  StepOptions options_;
  std::unique_ptr<RepeatedStep> repeated_;  // null: every step is queued anew
  std::unique_ptr<Sharpness> sharpness_;    // with sam
};

// Adds the gradients of the batch's mean loss to those of the network's parameters, through stages
// [first, end): what a step does before the optimizer's part, for who needs the gradients
// themselves. In micro-batches, batch norms that learn statistics take them from each micro-batch,
// and sums are rounded in another order; else it is the same function of the whole batch. The
// gradients are of loss_scale * loss; the loss that is read is not.
GRAFT_API StepResult add_gradients(StagedNetwork& network, size_t first, const Task& task,
                                   const Batch& batch, const StepOptions& options,
                                   const StepPosition& position = {}, double loss_scale = 1);

// The loss of a whole batch, from which backward can start, and the outputs it is of.
struct BatchLoss {
  Tensor loss{}, outputs{};
};
// placed: batch.targets where the network lies; empty: they are brought there.
GRAFT_API BatchLoss loss_of(StagedNetwork& network, size_t first, const Task& task,
                            const Batch& batch, const StepOptions& options,
                            const StepPosition& position, const Targets& placed = {});

}  // namespace graft::train
