// Batch norm over axis 1, with an optional residual added before an optional ReLU:
//   y = act(weight * (x - mean) / sqrt(variance + eps) + bias + residual).
// Source: Ioffe & Szegedy 2015. variance is the biased one (divided by the count).
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct BatchNormAttributes {
  static constexpr std::string_view id = "batch_norm";
  double eps = 1e-5;
  bool training = false;  // statistics of this batch, else given ones
  bool relu = false;
};

// mean, variance, weight, bias and their gradients are [C] in x's dtype, or f32 beside bf16 and
// f16. weight and bias may be null: 1 and 0.
struct BatchNormStatisticsArgs {
  const Tensor& x;   // [N,C,...]
  Tensor& mean;      // [C]
  Tensor& variance;  // [C]
  bool dtypes_fit() const { return go_with(x.dtype(), mean, variance); }
};
struct BatchNormApplyArgs {
  const Tensor& x;
  const Tensor& mean;
  const Tensor& variance;
  const Tensor* weight;
  const Tensor* bias;
  const Tensor* residual;  // like x, or null
  const BatchNormAttributes& attributes;
  Tensor& y;                   // like x
  Tensor* positive = nullptr;  // the ReLU's mask, where keeps_mask: u8, bit i % 8 of byte i / 8
                               // says y > 0 of element i in memory
  bool dtypes_fit() const {
    return are_of(x.dtype(), residual, y) && go_with(x.dtype(), mean, variance, weight, bias) &&
           are_of(DType::u8, positive);
  }
};
struct BatchNormBackwardArgs {
  const Tensor& x;
  const Tensor* y;     // the forward result, for its ReLU's mask (y > 0) where forward added a
                       // residual; else null: the mask follows from x
  const Tensor* bias;  // [C] or null
  bool residual;       // forward added one
  const Tensor& dy;
  const Tensor& mean;
  const Tensor& variance;
  const Tensor* weight;
  const BatchNormAttributes& attributes;  // training: the statistics depend on x
  Tensor* dx;                             // like x, or null: not wanted
  Tensor* dresidual;                      // like x, or null
  Tensor* dweight;                        // [C] or null
  Tensor* dbias;                          // [C] or null
  const Tensor* positive = nullptr;       // apply's, in place of y
  bool dtypes_fit() const {
    return are_of(x.dtype(), y, dy, dx, dresidual) &&
           go_with(x.dtype(), bias, mean, variance, weight, dweight, dbias) &&
           are_of(DType::u8, positive);
  }
};
// running = (1 - momentum) running + momentum batch, the variance's batch value times count /
// (count - 1): unbiased.
struct BatchNormRunningArgs {
  const Tensor& mean;  // of the batch, as statistics gives them
  const Tensor& variance;
  Tensor* running_mean;  // [C], or null: not kept
  Tensor* running_variance;
  double momentum;
  int64_t count;  // values a channel, at least 2
  bool dtypes_fit() const { return are_of(mean.dtype(), variance, running_mean, running_variance); }
};

struct BatchNormKernels {
  KernelList<BatchNormStatisticsArgs> statistics{"batch_norm statistics"};
  KernelList<BatchNormRunningArgs> running{"batch_norm running statistics"};
  KernelList<BatchNormApplyArgs> apply{"batch_norm apply"};
  KernelList<BatchNormBackwardArgs> backward{"batch_norm backward"};
  // Whether kernels of this device keep the mask of such an x's ReLU behind a residual in bits,
  // which backward then reads in place of the result, twice; null: none does.
  bool (*keeps_mask)(const Tensor& x) = nullptr;
};

}  // namespace graft::ops
