// What the stages of a network make of a data set: the features of every cut, in one pass.
#pragma once
#include <functional>
#include <vector>

#include "graft/layers/modules/staged_network.h"
#include "graft/train/loader.h"

namespace graft::train {

struct StagePlan {
  std::vector<size_t> ends{};  // stages [0, end), ascending, at least one
  size_t answers_at = 0;       // beside them what stages [0, answers_at) give, as it is; 0: nothing
};

struct StageFeatures {
  std::vector<Tensor> features{};  // f32 [N,C] of each end, maps as the means of their planes
  Tensor answers{};                // f32 [N,...] behind the last of the stages
};

// The values of a stage, [N,C,...] or [N,C], as features [N,C]. bad_input for other ranks.
GRAFT_API Tensor pooled_features(const Tensor& values);

// In eval mode, without recording; by sample index, on the host. The loader must not shuffle.
// `progress` (may be empty; may throw to leave) hears the samples done. Within a ScopedStop
// (core/runtime/stop.h) it ends with Stopped.
GRAFT_API StageFeatures
extract_stage_features(StagedNetwork& network, BatchLoader& loader, const StagePlan& plan,
                       const std::function<void(int64_t done, int64_t total)>& progress = {});

// The stages behind which a network may be cut, deepest last: of the maps of one size, one behind
// another, the last. `image`: a batch of one.
GRAFT_API std::vector<size_t> ends_of_maps(StagedNetwork& network, const Tensor& image);

}  // namespace graft::train
