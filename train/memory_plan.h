// The memory plan of a run: which micro-batches and how much recomputation keep a training step
// within a number of bytes.
#pragma once
#include <functional>
#include <string>

#include "graft/train/training_step.h"

namespace graft::train {

// Bytes that a step takes at its peak, as the allocator counts them, everything that is alive then
// included: for a batch of `images` images by a plan. It is found by running such a step.
using StepBytes = std::function<int64_t(int64_t images, const StepPlan& plan)>;

struct MemoryRequest {
  int64_t allowed = 0;  // bytes for what the allocator counts
  int64_t batch = 32;
  bool norms_learn = false;    // some batch norm takes statistics from the batch
  int64_t bytes_an_image = 0;  // of the whole batch's input, which is there beside the micro-batch
};

struct MemoryPlan {
  StepPlan step{};
  int64_t peak = 0;  // bytes counted by the allocator, seen in a step of this plan
};

// The first plan that fits, in this order. Where no batch norm learns, micro-batches of a half, a
// quarter ... are the same function and cost least; recomputation comes last. Where one learns,
// recomputation comes first, for it changes no bit; then micro-batches, down to 4 images. What a
// plan takes is foretold from steps of few images, then tried. When none fits: the one that takes
// least, whose peak is then above what is allowed.
GRAFT_API MemoryPlan plan_memory(const MemoryRequest& request, const StepBytes& step_bytes);

// ---- a run's

struct RamRequest {
  int64_t ram = 0;  // bytes that the process may take
  int64_t batch = 32;
  int64_t bytes_an_image = 0;  // of a step's input
  bool norms_learn = false;
  const StepPlan* given = nullptr;  // a plan that must be kept (a resumed run's)
  int64_t beside_step = 0;          // bytes that the allocator will have handed out beside a step:
                                    // features, batches prepared ahead
  int64_t between_steps = 0;        // bytes that it will have handed out at most between steps
};

// plan_memory() for a process: measures what there is beside the allocator, runs steps by
// `run_step` and says the promise. Error(resource) in one sentence with the smallest size that
// would do.
GRAFT_API MemoryPlan
plan_within(const RamRequest& request,
            const std::function<void(int64_t images, const StepPlan& plan)>& run_step,
            const std::function<void(const std::string&)>& say);

// Whether a training step takes statistics from its batch.
GRAFT_API bool norms_learn(StagedNetwork& network);
// The plan in a recipe's JSON.
GRAFT_API StepPlan step_plan_of(const std::string& recipe_json);
// What the process holds in memory.
GRAFT_API int64_t resident_bytes();

}  // namespace graft::train
