// Sums of tensors for code below the operations: what backward adds gradients with. Not recorded by
// autograd.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft {

// a + b, of one shape and dtype, in a's layout. The memory of one of them becomes the result's when
// no other handle sees it.
GRAFT_API Tensor sum_of(Tensor a, Tensor b);

// y = a + b on the CPU, element by element in memory order; y may be a or b. Until one is set (the
// kernel registry gives its own), sum_of adds with a plain loop.
using CpuSum = void (*)(const Tensor& a, const Tensor& b, Tensor& y);
GRAFT_API void set_cpu_sum(CpuSum sum);

}  // namespace graft
