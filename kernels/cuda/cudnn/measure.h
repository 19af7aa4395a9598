// How long plans take on the device: --autotune's choice.
#pragma once
#include "graft/kernels/cuda/cudnn/plan_cache.h"

namespace graft::cudnn {

// Milliseconds of one run of each plan of the graph, on tensors of zeros; infinity for one that
// does not run. Waits for the device. Error when there is no memory for the tensors.
std::vector<double> measure(PlanCache& cache, gpu::Device& device, const ConvGraph& graph,
                            std::span<const std::unique_ptr<Plan>> plans);

}  // namespace graft::cudnn
