// bfloat16 tensors through the engine's float kernels: widened before, rounded after. For what has
// no kernel in bfloat16.
#pragma once
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/tensor.h"

namespace graft::cpu {

// A bf16 tensor's values in f32, in its memory order.
Tensor widened(ExecContext& context, const Tensor& t);
// An uninitialised f32 tensor like a bf16 one, and its values rounded back (to nearest, ties to
// even).
Tensor wide_like(const Tensor& t);
void round_into(ExecContext& context, const Tensor& wide, Tensor& t);

}  // namespace graft::cpu
