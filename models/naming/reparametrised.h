// Weights that a file keeps in parts: pruned, weight norm, spectral norm. Folded into the weights
// that the network computes with.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"

namespace graft::models {

// PyTorch's names of both generations (weight_orig and weight_mask, weight_g and weight_v,
// parametrizations.weight.original ...). A note a kind. The formulas are those of
// torch.nn.utils.prune, weight_norm and spectral_norm, along the first axis.
GRAFT_API StateDict fold_reparametrised(const StateDict& tensors, std::vector<std::string>& notes);

}  // namespace graft::models
