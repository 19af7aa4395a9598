// optimizer_step(): all parameters of a device moved by one step. Not differentiable and not recorded; train's optimizers call it.
#pragma once
#include <span>

#include "graft/kernels/ops/optimizer_step.h"

namespace graft::functional {

// Writes weights, slots and 16-bit copies. numbers: f32 [ops::kOptimizerNumbers] on the parameters' device.
GRAFT_API void optimizer_step(std::span<ops::OptimizerParameter> parameters, const Tensor& numbers, const ops::OptimizerStepAttributes& attributes);

}  // namespace graft::functional
