// Which element-wise functions have vectorised maths, under the kernels' names for them.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"
#include "graft/kernels/ops/unary.h"

namespace graft::cpu {

bool is_mapped(ops::Unary function);
// Of a function that is.
MapAttributes map_attributes(const ops::UnaryAttributes& attributes);

}  // namespace graft::cpu
