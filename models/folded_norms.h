// Un-folding: batch norms that were folded into their convolutions' weights and biases stand again
// as layers of their own, computing the same function.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/models/architecture.h"

namespace graft::models {

// In a state dict with the network's names: the bias of every convolution that has a batch norm
// behind it goes there.
//   norm missing: it becomes neutral: weight 1, running_mean 0, running_var 1 - eps, bias = the
//   convolution's bias. In
//     eval y = (x - 0) / sqrt(1 - eps + eps) * 1 + bias, the folded function. Its path is returned.
//   norm present (a convolution with bias and a norm): running_mean -= bias, the same function in
//   eval and training.
// Where the network's convolutions have biases beside their norms (torchvision's VGG with batch
// norm) a bias that went becomes 0, and one with its norm present stays. Convolutions without
// either are left for the strict check to report.
GRAFT_API std::vector<std::string> unfold_norms(StateDict& tensors,
                                                const Architecture& architecture);

// Tells the batch norms at `paths` that they are neutral (BatchNorm2d::mark_neutral).
GRAFT_API void mark_neutral(StagedNetwork& network, const std::vector<std::string>& paths);

// The batch norms among `paths` that are still neutral: those that no training has given
// statistics.
GRAFT_API std::vector<std::string> still_neutral(StagedNetwork& network,
                                                 const std::vector<std::string>& paths);

}  // namespace graft::models
