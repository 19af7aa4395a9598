// Losses: softmax cross-entropy (fused), binary cross-entropy on logits, mean squared error.
// Formulas as in PyTorch's documentation of CrossEntropyLoss, BCEWithLogitsLoss and MSELoss.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Reduction : unsigned char { mean, sum };

// Loss of logits [N,C] against labels [N] (i64) or class probabilities [N,C]. mean divides by the
// sum of the labels' class weights (labels) or by N (probabilities), as PyTorch does.
struct CrossEntropyAttributes {
  static constexpr std::string_view id = "cross_entropy";
  double label_smoothing = 0;
  Reduction reduction = Reduction::mean;
};
struct CrossEntropyForwardArgs {
  const Tensor& logits;         // [N,C]
  const Tensor& target;         // i64 [N], or like logits
  const Tensor* class_weights;  // [C], like logits or f32 beside bf16 and f16; or null
  const CrossEntropyAttributes& attributes;
  Tensor& loss;     // rank 0, dtype of logits
  Tensor* dlogits;  // the gradient for an incoming gradient of 1, or null: not wanted
  bool dtypes_fit() const {
    return (target.dtype() == DType::i64 || target.dtype() == logits.dtype()) &&
           are_of(logits.dtype(), loss, dlogits) && go_with(logits.dtype(), class_weights);
  }
};

// Element-wise losses of two tensors of one shape, reduced to one number.
enum class PairLoss : unsigned char { mean_squared_error, binary_cross_entropy_with_logits };
struct PairLossAttributes {
  static constexpr std::string_view id = "pair_loss";
  PairLoss function = PairLoss::mean_squared_error;
  Reduction reduction = Reduction::mean;
};
struct PairLossForwardArgs {
  const Tensor& x;
  const Tensor& target;  // like x
  const PairLossAttributes& attributes;
  Tensor& loss;  // rank 0
  Tensor* dx;    // like x, for an incoming gradient of 1, or null
  bool dtypes_fit() const { return are_of(x.dtype(), target, loss, dx); }
};

struct LossKernels {
  KernelList<CrossEntropyForwardArgs> cross_entropy{"cross_entropy"};
  KernelList<PairLossForwardArgs> pair{"pair_loss"};
};

}  // namespace graft::ops
