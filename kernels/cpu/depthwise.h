// Depthwise convolution forward: one filter a channel. Nothing to multiply as matrices: loops along
// channels, row by row.
#pragma once
#include "graft/kernels/cpu/conv_problem.h"

namespace graft::cpu {

// One input and one output channel a group.
inline bool is_depthwise(const ConvShape& shape) {
  return shape.groups > 1 && shape.group_c() == 1 && shape.group_k() == 1;
}

// The weight as [tap][channel].
template <class T>
void pack_depthwise(const ConvShape& shape, const Tensor& weight, T* to);

template <class T>
struct DepthwiseProblem {
  const ConvShape& shape;
  const T* x;
  const T* weight;    // from pack_depthwise
  const T* bias;      // [C] or null
  const T* residual;  // like y, or null
  T* y;
  Activation activation;
};
// Bits depend neither on the threads nor on the batch.
template <class T>
void run_depthwise(ExecContext& context, const KernelTable<T>& table,
                   const DepthwiseProblem<T>& problem);

}  // namespace graft::cpu
