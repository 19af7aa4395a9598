// One step's forward and backward: of a whole batch, or in micro-batches whose gradients add up;
// stages kept for backward, or computed again in it.
#pragma once
#include <functional>
#include <vector>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/train/loader.h"
#include "graft/train/step_plan.h"

namespace graft::train {

struct GRAFT_API StepResult {
  bool is_stepped =
      false;  // StepOptions::backward_whole was called; else the gradients wait for a step
  // What a device computes while the host goes on: read() waits for it, once a step, and fills in
  // what follows.
  void read();
  double loss = 0;                     // mean over the batch
  std::vector<int64_t> predictions{};  // one an image

  struct Piece {
    Tensor loss{}, logits{};
    double share;  // of the batch
  };
  std::vector<Piece> pieces{};  // not read yet
};

struct DropoutStream {
  uint64_t seed = 0, epoch = 0, step = 0;
};

struct StepOptions {
  double label_smoothing = 0;
  StepPlan plan{};
  DropoutStream dropout{};
  DType activations =
      DType::f32;  // f32 or bf16, away from the CPU f16 too: what stages take; the loss is of f32
  Tensor class_weights{};  // f32 [C] where the network lies; undefined: all classes count alike
  std::vector<double> weight_of_class{};  // the same numbers on the host
  double loss_scale = 1;   // gradients are of loss_scale * loss; the loss that is read is not
  Tensor device_labels{};  // batch.labels where the network lies; undefined: they are brought there
  // In place of backward(loss), for a batch that goes through as a whole: an optimizer can step as
  // gradients come.
  std::function<void(const Tensor& loss)> backward_whole{};
};

// bad_input for a label that is no class; labels on the host.
GRAFT_API void check_labels(const Tensor& labels, int64_t classes);

// For the scope: batch norms normalise by the batch without moving their running statistics.
class GRAFT_API HeldStatistics {
 public:
  explicit HeldStatistics(StagedNetwork& network);
  ~HeldStatistics();
  HeldStatistics(const HeldStatistics&) = delete;
  HeldStatistics& operator=(const HeldStatistics&) = delete;

 private:
  struct Before {
    BatchNorm2d* norm;
    double momentum;
    Tensor count{};  // num_batches_tracked; undefined: not counted
    int64_t batches;
  };
  std::vector<Before> before_;
};

// Adds the gradients of the batch's mean loss to those of the network's parameters, through stages
// [first, end); batch.x is what stage `first` takes, and goes to the network's device with the
// labels. bad_input for a label that is no class. In micro-batches, batch norms that learn
// statistics take them from each micro-batch, and sums are rounded in another order; else it is the
// same function of the whole batch.
GRAFT_API StepResult run_training_step(StagedNetwork& network, size_t first, const Batch& batch,
                                       const StepOptions& options);

}  // namespace graft::train
