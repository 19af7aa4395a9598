// LEEP: how well the source's own classes foretell those of the data.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft::train {

// Mean over the samples of log sum over z of p(y | z) p(z | x), where p(z | x) are the source
// head's probabilities [N,Cs] and p(y | z) what they say together of the samples' labels; at most
// 0. bad_input for probabilities that are none, and where there is one class only. Source: Nguyen
// et al., LEEP (ICML 2020).
GRAFT_API double expected_prediction(const Tensor& probabilities,
                                     const std::vector<int64_t>& labels);

}  // namespace graft::train
