// Recipe: every number that decides what a training run computes. Two runs of one recipe on one machine are the same.
#pragma once
#include <cstdint>
#include <string>

#include "graft/core/base/export.h"
#include "graft/train/optimizer.h"
#include "graft/train/step_plan.h"

namespace graft::train {

struct GRAFT_API Recipe {
  int64_t epochs = 60;
  int64_t batch = 32;
  OptimizerOptions optimizer;
  double lr = 0.01;
  std::string schedule = "cosine";  // schedule.h
  int64_t warmup_epochs = 0;
  std::string freeze = "none";      // none, backbone (all but the head), or stages/modules: "stem,layer1", "..layer2"
  std::string batch_norm = "auto";  // auto, source, adapt, train: see batch_norm_policy.h
  std::string augment = "none";     // io/augment.h
  double label_smoothing = 0;
  bool standardize = false;         // a linear head on frozen features learns on standardised ones (folded when saved)
  bool cache_features = true;       // features of a frozen prefix are computed once
  std::string precision = "fp32";   // fp32, bf16: of activations and their gradients; everything else is fp32
  int64_t views = 0;                // with augmentation, 0: images change anew every epoch; K: epoch e shows fixed view (e - 1) % K of each,
                                    // the first of which is the image as it is: then features can be cached
  StepPlan step;                    // micro-batches and recomputation: what --ram planned
  uint64_t seed = 0;

  DType activations() const { return precision == "bf16" ? DType::bf16 : DType::f32; }
  void validate() const;          // bad_input naming the field
  std::string to_json() const;    // keys sorted; fp32 goes without saying, as before there was a choice
  bool operator==(const Recipe&) const;
};

// The defaults. Frozen backbone: 60 epochs of a linear head on cached, standardised features with Adam 1e-2, cosine; no
// augmentation. Else: 10 epochs of SGD 0.01 with momentum and weight decay 1e-4, one epoch of warm-up, cosine, light
// augmentation.
GRAFT_API Recipe default_recipe(const std::string& freeze);

}  // namespace graft::train
