// Convolution: y[n,k,p] = bias[k] + sum over c, r of x[n, c, p*stride + r*dilation - pad_begin] *
// weight[k,c,r] (cross-correlation, as in every framework), in three first-class passes.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"
#include "graft/kernels/ops/window.h"

namespace graft::ops {

struct ConvAttributes {
  static constexpr std::string_view id = "conv";
  Window window{};  // window.kernel must equal the weight's spatial extents
  int64_t groups = 1;
};

// x [N,C,spatial...], weight [K,C/groups,kernel...] -> [N,K,output...]; rank 3 to 5. bad_input when
// they do not fit.
GRAFT_API Shape conv_output_shape(const Shape& x, const Shape& weight,
                                  const ConvAttributes& attributes);

// Transposed convolution: conv's backward-data pass as an operation of its own, so that its kernels
// are conv's. The window is that of the convolution whose input y would be.
struct ConvTransposeAttributes {
  static constexpr std::string_view id = "conv_transpose";
  ConvAttributes conv{};
};
// x [N,K,output...], weight [K,C/groups,kernel...] -> [N,C,input...]: stride * (in - 1) + dilation
// * (kernel - 1) + 1 - pads.
GRAFT_API Shape conv_transpose_output_shape(const Shape& x, const Shape& weight,
                                            const ConvTransposeAttributes& attributes);

// Contracts. Every tensor is allocated by the caller. x, y (and dx, dy) share dtype and format; the
// format of weight and dweight is independent of it. Weight, bias and their gradients have that
// dtype too, or float32 beside bf16 and f16. Outputs are overwritten. Floating dtypes; the
// reference also takes integers.
struct ConvForwardArgs {
  const Tensor& x;       // [N,C,H,W]
  const Tensor& weight;  // [K,C/groups,R,S]
  const Tensor* bias;    // [K] or null
  const ConvAttributes& attributes;
  Tensor& y;  // [N,K,P,Q]
  bool dtypes_fit() const { return are_of(x.dtype(), y) && go_with(x.dtype(), weight, bias); }
};
// Forward, and batch norm's statistics of y along with it: where taking them costs less than a pass
// over y (try_run).
struct ConvForwardStatisticsArgs {
  const Tensor& x;
  const Tensor& weight;
  const Tensor* bias;
  const ConvAttributes& attributes;
  Tensor& y;
  Tensor& mean;      // [K] in f32 (f64 when y is f64): of y as it is stored, over N, P and Q
  Tensor& variance;  // [K] the biased one
  bool dtypes_fit() const {
    return are_of(x.dtype(), y) && go_with(x.dtype(), weight, bias, mean, variance);
  }
};
struct ConvBackwardDataArgs {
  const Tensor& dy;      // [N,K,P,Q]
  const Tensor& weight;  // [K,C/groups,R,S]
  const ConvAttributes& attributes;
  Tensor& dx;  // [N,C,H,W]
  bool dtypes_fit() const { return are_of(dy.dtype(), dx) && go_with(dy.dtype(), weight); }
};
struct ConvBackwardWeightArgs {
  const Tensor& x;   // [N,C,H,W]
  const Tensor& dy;  // [N,K,P,Q]
  const ConvAttributes& attributes;
  Tensor* dweight;  // [K,C/groups,R,S] or null: not wanted
  Tensor* dbias;    // [K] or null
  bool dtypes_fit() const { return are_of(dy.dtype(), x) && go_with(dy.dtype(), dweight, dbias); }
};

struct ConvKernels {
  KernelList<ConvForwardArgs> forward{"conv forward"};
  KernelList<ConvForwardStatisticsArgs> forward_statistics{"conv forward-statistics"};
  KernelList<ConvBackwardDataArgs> backward_data{"conv backward-data"};
  KernelList<ConvBackwardDataArgs> backward_data_added{
      "conv backward-data-added"};  // dx += what the pass gives (try_run)
  KernelList<ConvBackwardWeightArgs> backward_weight{"conv backward-weight"};
};

}  // namespace graft::ops
