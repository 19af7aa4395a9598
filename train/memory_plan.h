// The memory plan of a run: which micro-batches and how much recomputation keep a training step
// within a number of bytes.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "graft/io/decode_gate.h"
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
// plan takes is extrapolated from steps of few images, then verified. When none fits: the one that
// takes least, whose peak is then above what is allowed.
GRAFT_API MemoryPlan plan_memory(const MemoryRequest& request, const StepBytes& step_bytes);

// ---- a run's

// What a run's plan is a function of: sizes of the recipe, the network and the data, the memory
// that is allowed and the workers that were asked for. Nothing of the machine, of the threads that
// compute or of what happens to be in memory is in it, so that one command has one plan.
struct RamRequest {
  int64_t ram = 0;  // bytes that the process may take
  int64_t batch = 32;
  int64_t bytes_an_image = 0;  // of a step's input
  bool norms_learn = false;
  const StepPlan* given = nullptr;  // a plan that must be kept (a resumed run's)
  int workers = 0;
  int64_t kept = 0;     // there all the time: network, optimizer, the best epoch's values, features
  int64_t between = 0;  // more, at most, between steps: a checkpoint's copies
  int64_t scratch = 0;  // of kernels
  int64_t data = 0;     // the data set
  int64_t decoding = 0;   // DecodeGate::bytes()
  std::string decoded{};  // the image that takes most of it
};

// plan_memory() for a process; step_bytes counts a step's tensors alone. Says the promise.
// Error(resource) in one sentence with the smallest size that would do.
GRAFT_API MemoryPlan plan_within(const RamRequest& request, const StepBytes& step_bytes,
                                 const std::function<void(const std::string&)>& say);

// What a process takes beside tensors, data and decoders: code, libraries, threads, the
// allocator's cut-offs.
inline constexpr int64_t kProcessBytes = int64_t{56} << 20;

// What decoders may take before anything else is planned: the memory but for the process and what
// is `held`, and never so little that small images are refused where it is SIZE that is too small.
GRAFT_API int64_t decoding_bytes_at_most(int64_t ram, int64_t held);

// What decoders may take together: the largest image on every worker, and where that is little,
// more of them side by side, up to a sixteenth of the memory.
GRAFT_API int64_t decoding_bytes(int64_t ram, int64_t largest_decode, int workers);

// What decoding these images is given, of every part of the data that is looked at; null ones are
// passed over. Reads their headers, decodes nothing. Error(resource) naming an image that would not
// fit beside what is `held`.
struct DecodePlan {
  std::shared_ptr<io::DecodeGate> gate{};  // of decoding_bytes(); null: no image takes any memory
  std::string largest{};                   // the image that takes most
};
GRAFT_API DecodePlan plan_decoding(int64_t ram, int64_t held, int workers,
                                   std::initializer_list<const io::Dataset*> parts);

// Tensors that `work` has in use at most beside those that are there before. Kernels are left out,
// so that values are unset, and the count is the same on every machine. A network that looks at
// values gets those of integers; where that is not enough it computes, with the instructions that
// every machine has.
GRAFT_API int64_t tensor_bytes_of(const std::function<void()>& work, bool looks_at_values);

// What compiled and packed weights of a network's frozen stages take beside the network, and what
// kernels borrow in a step: bounds, from the shapes of the weights.
GRAFT_API int64_t packed_bytes(StagedNetwork& network, size_t frozen_stages);
GRAFT_API int64_t scratch_bytes(StagedNetwork& network);

// Whether a training step takes statistics from its batch.
GRAFT_API bool norms_learn(StagedNetwork& network);
// The plan in a recipe's JSON.
GRAFT_API StepPlan step_plan_of(const std::string& recipe_json);
}  // namespace graft::train
