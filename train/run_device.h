// What a run asks of the device that its network lies on.
#pragma once
#include <string>

#include "graft/core/base/sha256.h"
#include "graft/layers/modules/module.h"

namespace graft::train {

// What decides the bits beside the recipe: the instruction set ("avx512"), or the device's kind
// ("cuda").
std::string arithmetic_of(const Module& network);
// Adds a tensor's elements in logical order: the same hash wherever it lies and however it is laid
// out.
void hash_elements(Sha256& hash, const Tensor& tensor);
// A copy on the host that nothing else writes to.
Tensor host_copy(const Tensor& tensor);

}  // namespace graft::train
