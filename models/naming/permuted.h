// A tensor's axes in another order: other frameworks' layouts of weights.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::models {

// out[i0][i1]... = in with axes in the order `from`: out axis a is in axis from[a]. float32.
Tensor permuted(const Tensor& tensor, const std::vector<size_t>& from);

}  // namespace graft::models
