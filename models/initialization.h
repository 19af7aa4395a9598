// Starting values: He et al. 2015 for convolutions, neutral batch norms, uniform linear layers, as
// torchvision does.
#pragma once
#include "graft/layers/modules/module.h"

namespace graft::models {

// Convolutions: normal, deviation sqrt(2 / (K*R*S)) (fan out). Batch norms: 1 and 0. Linear:
// uniform in +-1/sqrt(I); so are the filters of ECA, I their length, and convolutions of one or
// three axes or transposed. Embeddings: normal, deviation 1; layer and group norms: 1 and 0. The
// numbers depend on the seed and the parameter's path alone.
GRAFT_API void initialize(Module& module, uint64_t seed);
// The same for the module at `path` only (a head that was replaced).
GRAFT_API void initialize_at(Module& root, std::string_view path, uint64_t seed);

}  // namespace graft::models
