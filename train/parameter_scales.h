// Which parameters of a network learn at a lower rate, or without weight decay, by a recipe.
#pragma once
#include <vector>

#include "graft/layers/modules/staged_network.h"
#include "graft/train/optimizer.h"
#include "graft/train/recipe.h"

namespace graft::train {

// Recipe::layer_decay: a stage learns at the rate times layer_decay to the power of the number of
// stages with parameters between it and the end: 0 for the head, 1 for the stage before it.
// Recipe::decay_norms off: what has one axis only (biases, and the weights of norms) has no weight
// decay. In the order of `parameters`, of the network; empty where all are 1.
GRAFT_API std::vector<ParameterScale> parameter_scales(StagedNetwork& network,
                                                       const std::vector<NamedTensor>& parameters,
                                                       const Recipe& recipe);

}  // namespace graft::train
