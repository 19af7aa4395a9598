// Un-folding: batch norms that were folded into their convolutions' weights and biases stand again as layers of their
// own, computing the same function.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"

namespace graft::models {

// In a state dict with torchvision's names: every convolution bias goes into the batch norm behind it.
//   norm missing: it becomes neutral: weight 1, running_mean 0, running_var 1 - eps, bias = the convolution's bias. In
//     eval y = (x - 0) / sqrt(1 - eps + eps) * 1 + bias, the folded function. Its path is returned.
//   norm present (a convolution with bias and a norm): running_mean -= bias, the same function in eval and training.
// Convolutions without either are left for the strict check to report.
GRAFT_API std::vector<std::string> unfold_norms(StateDict& tensors, double eps);

// The norms among `paths` that are still neutral in `tensors`: those that no training has given statistics.
GRAFT_API std::vector<std::string> still_neutral(const StateDict& tensors, const std::vector<std::string>& paths, double eps);

}  // namespace graft::models
