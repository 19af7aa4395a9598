// StepPlan: how a training step goes through its batch, when memory is short.
#pragma once
#include <cstdint>

namespace graft::train {

struct StepPlan {
  int64_t micro_batch = 0;  // images at a time; 0: the whole batch
  // Keeps what enters each stage only, and computes the stage a second time when backward reaches
  // it: the same bits, about a third more work, less memory.
  bool recompute = false;
  bool operator==(const StepPlan&) const = default;
};

}  // namespace graft::train
