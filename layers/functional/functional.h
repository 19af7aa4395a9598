// The differentiable functions. Each checks its arguments, runs a kernel and records a Node;
// function and Node stand in one file of this folder. Shapes are NCHW whatever the layout; results
// have the layout of their first input. Every function throws Error(bad_input) naming the op and
// the shapes when the arguments do not fit.
#pragma once
#include <span>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/dropout.h"
#include "graft/kernels/ops/linear.h"
#include "graft/kernels/ops/loss.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/ops/softmax.h"
#include "graft/kernels/ops/unary.h"

namespace graft::functional {

// A batch's mean and biased variance by channel, [C] in f32 (f64 beside f64).
struct BatchStatistics {
  Tensor mean{}, variance{};
};

// x [N,C,spatial], weight [K,C/groups,kernel], bias [K] or undefined -> [N,K,output].
// attributes.window.kernel and .axes are taken from the weight. `statistics`, where given: of the
// result, for the batch_norm after it, when the kernel can take them while it has the result in its
// cache; else left undefined.
GRAFT_API Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias,
                      ops::ConvAttributes attributes = {}, BatchStatistics* statistics = nullptr);

// x [M,I], weight [O,I], bias [O] or undefined -> [M,O].
GRAFT_API Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

struct BatchNormOptions {
  bool training = false;  // normalise with this batch's statistics and update the running ones
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch; the batch
                          // variance is unbiased there
  double eps = 1e-5;
  bool relu = false;  // fused ReLU, after the residual
};
// x [N,C,...], all others [C]; weight and bias may be undefined; residual like x or undefined.
// Training with one value per channel is an error. `statistics` of x, where conv has taken them:
// for training, else not looked at.
GRAFT_API Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            Tensor running_mean, Tensor running_var,
                            const BatchNormOptions& options, const Tensor& residual = {},
                            const BatchStatistics& statistics = {});

GRAFT_API Tensor max_pool(const Tensor& x, const ops::MaxPoolAttributes& attributes);
GRAFT_API Tensor average_pool(const Tensor& x, const ops::AveragePoolAttributes& attributes);
GRAFT_API Tensor adaptive_average_pool(const Tensor& x,
                                       const ops::AdaptiveAveragePoolAttributes& attributes);
GRAFT_API Tensor global_average_pool(const Tensor& x);  // [N,C,...] -> [N,C,1,...]

GRAFT_API Tensor unary(const Tensor& x, ops::Unary function);
inline Tensor relu(const Tensor& x) { return unary(x, ops::Unary::relu); }
inline Tensor relu6(const Tensor& x) { return unary(x, ops::Unary::relu6); }
inline Tensor sigmoid(const Tensor& x) { return unary(x, ops::Unary::sigmoid); }
inline Tensor tanh(const Tensor& x) { return unary(x, ops::Unary::tanh); }

// Broadcasting as in NumPy. Inputs of rank 4 share their layout (or have one element a channel,
// where both agree).
GRAFT_API Tensor binary(const Tensor& a, const Tensor& b, ops::Binary function);
inline Tensor add(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::add); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::sub); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::mul); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(a, b, ops::Binary::div); }

// Elements in NCHW order into another shape. A channels_last input with more than one pixel is put
// in that order first.
GRAFT_API Tensor reshape(const Tensor& x, const Shape& shape);
// Joins the axes from `start` on: [N,C,H,W] -> [N,C*H*W].
GRAFT_API Tensor flatten(const Tensor& x, int start = 1);
GRAFT_API Tensor concat(std::span<const Tensor> inputs, int axis = 1);
GRAFT_API Tensor pad(const Tensor& x, const ops::PadAttributes& attributes);

// The stream (seed, epoch, step) decides the mask. training false or probability 0: x itself.
GRAFT_API Tensor dropout(const Tensor& x, const ops::DropoutAttributes& attributes, bool training);

GRAFT_API Tensor softmax(const Tensor& x, int axis = 1);
GRAFT_API Tensor log_softmax(const Tensor& x, int axis = 1);

struct CrossEntropyOptions {
  double label_smoothing = 0;  // [0, 1)
  ops::Reduction reduction = ops::Reduction::mean;
  Tensor class_weights{};  // [C] or undefined
};
// logits [N,C]; target i64 [N] with labels in [0,C), or probabilities [N,C] -> rank 0. The target
// has no gradient.
GRAFT_API Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                               const CrossEntropyOptions& options = {});
// x and target of one shape -> rank 0. The target has no gradient.
GRAFT_API Tensor mean_squared_error(const Tensor& x, const Tensor& target,
                                    ops::Reduction reduction = ops::Reduction::mean);
GRAFT_API Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                                  ops::Reduction reduction = ops::Reduction::mean);

// axes empty: all of them.
GRAFT_API Tensor reduce(const Tensor& x, const ops::ReduceAttributes& attributes);

}  // namespace graft::functional
