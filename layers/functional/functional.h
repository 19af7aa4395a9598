// The differentiable functions. Each checks its arguments, runs a kernel and records a Node; function and Node stand
// in one file of this folder. Shapes are NCHW whatever the layout; results have the layout of their first input.
// Every function throws Error(bad_input) naming the op and the shapes when the arguments do not fit.
#pragma once
#include <span>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/linear.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/unary.h"

namespace graft::functional {

// x [N,C,spatial], weight [K,C/groups,kernel], bias [K] or undefined -> [N,K,output]. attributes.window.kernel and
// .axes are taken from the weight.
GRAFT_API Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias, ops::ConvAttributes attributes = {});

// x [M,I], weight [O,I], bias [O] or undefined -> [M,O].
GRAFT_API Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct BatchNormOptions {
  bool training = false;  // normalise with this batch's statistics and update the running ones
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch; the batch variance is unbiased there
  double eps = 1e-5;
  bool relu = false;  // fused ReLU, after the residual
};
// x [N,C,...], all others [C]; weight and bias may be undefined; residual like x or undefined. Training with one value
// per channel is an error.
GRAFT_API Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                            Tensor running_var, const BatchNormOptions& options, const Tensor& residual = {});

GRAFT_API Tensor max_pool(const Tensor& x, const ops::MaxPoolAttributes& attributes);
GRAFT_API Tensor average_pool(const Tensor& x, const ops::AveragePoolAttributes& attributes);
GRAFT_API Tensor adaptive_average_pool(const Tensor& x, const ops::AdaptiveAveragePoolAttributes& attributes);
GRAFT_API Tensor global_average_pool(const Tensor& x);  // [N,C,...] -> [N,C,1,...]

GRAFT_API Tensor unary(const Tensor& x, ops::Unary function);
inline Tensor relu(const Tensor& x) { return unary(x, ops::Unary::relu); }
inline Tensor relu6(const Tensor& x) { return unary(x, ops::Unary::relu6); }
inline Tensor sigmoid(const Tensor& x) { return unary(x, ops::Unary::sigmoid); }
inline Tensor tanh(const Tensor& x) { return unary(x, ops::Unary::tanh); }

}  // namespace graft::functional
