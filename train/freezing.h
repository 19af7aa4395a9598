// Freezing and the batch-norm policy, applied to a network before training; and the proof that
// frozen stayed frozen.
#pragma once
#include <functional>
#include <string>

#include "graft/layers/modules/staged_network.h"
#include "graft/train/loader.h"
#include "graft/train/recipe.h"

namespace graft::train {

// Freezes what recipe.freeze names: none; backbone (every stage but the last); or a comma-separated
// list of stages and module paths ("stem,layer1,layer2.0"); "..layer2" is every stage up to layer2.
// bad_input naming what is unknown, or when nothing is left to train.
//
// Batch norms then follow recipe.batch_norm:
//   source: statistics, weight and bias stay the source's, everywhere.
//   adapt:  statistics are re-estimated in one pass over the training images, then fixed; weight
//   and bias stay. train:  statistics and affine parameters learn, in frozen stages too. auto:
//   source where frozen, train elsewhere.
GRAFT_API void apply_freezing(StagedNetwork& network, const Recipe& recipe);

// The pass of `adapt`: every batch norm's statistics become the mean of those of the loader's
// batches. `progress` (may be empty) hears the samples done. What ends the pass early (an image,
// the callback, a ScopedStop) leaves the network as it was.
GRAFT_API void reestimate_statistics(
    StagedNetwork& network, BatchLoader& loader,
    const std::function<void(int64_t done, int64_t total)>& progress = {});

// Gives the batch norms at `paths` that can train statistics of their own, in one pass over the
// loader's images with the network in eval mode; the network's function in eval stays the same. For
// norms that were folded into convolutions when the weights were published: without it their first
// training step would start from another function. Ended early, as above.
GRAFT_API void take_statistics(
    StagedNetwork& network, const std::vector<std::string>& paths, BatchLoader& loader,
    const std::function<void(int64_t done, int64_t total)>& progress = {});
// The same from one batch of images that lie where the network does.
GRAFT_API void take_statistics(StagedNetwork& network, const std::vector<std::string>& paths,
                               const Tensor& images);
// Those of `paths` whose batch norm is not frozen and follows batch statistics, or will be
// re-estimated, under the recipe.
GRAFT_API std::vector<std::string> norms_that_move(StagedNetwork& network,
                                                   const std::vector<std::string>& paths,
                                                   const Recipe& recipe);

// SHA-256 over the names and bytes of all frozen tensors, running statistics included; "" when
// nothing is frozen.
GRAFT_API std::string frozen_sha256(StagedNetwork& network);

}  // namespace graft::train
