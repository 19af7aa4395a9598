// The engine's product of a matrix with a transposed one, for arguments that linear's kernel does
// not decline.
#pragma once
#include "graft/kernels/ops/linear.h"

namespace graft::cpu {

void linear_forward(ExecContext& context, ops::LinearForwardArgs args);

}  // namespace graft::cpu
