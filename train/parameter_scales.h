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
// decay. Recipe::l2_sp: what parameter_pulls() draws has none. In the order of `parameters`, of the
// network; empty where all are 1.
GRAFT_API std::vector<ParameterScale> parameter_scales(StagedNetwork& network,
                                                       const std::vector<NamedTensor>& parameters,
                                                       const Recipe& recipe,
                                                       bool head_is_trained = false);

// Recipe::l2_sp: every parameter but the head's (the last stage's; with head_is_trained those too)
// is drawn towards the value that it has now: l2_sp / 2 times its squared distance is added to the
// loss. With decay_norms off what has one axis is not. Source: Li, Grandvalet and Davoine,
// "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018. Empty
// without; bad_input where nothing would be drawn.
GRAFT_API std::vector<ParameterPull> parameter_pulls(StagedNetwork& network,
                                                     const std::vector<NamedTensor>& parameters,
                                                     const Recipe& recipe, bool head_is_trained);

}  // namespace graft::train
