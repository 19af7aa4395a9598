// CTC loss: how likely a network's sequence of logits spells a shorter sequence of labels, whatever
// their alignment (Graves et al. 2006, "Connectionist Temporal Classification"). The softmax is
// within; the semantics of reductions and of unreachable targets are those of PyTorch's CTCLoss.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"
#include "graft/kernels/ops/loss.h"

namespace graft::ops {

struct CtcAttributes {
  static constexpr std::string_view id = "ctc_loss";
  int64_t blank = 0;  // the class that stands for no label
  // mean: each sample's loss is divided by its number of labels (at least 1), and the mean is taken
  // over the samples. sum: the losses are added.
  Reduction reduction = Reduction::mean;
  // A sample whose labels no path of its steps can spell has an infinite loss, and with
  // zero_infinity none. Its gradient is 0 either way (PyTorch's is NaN without zero_infinity).
  bool zero_infinity = false;
};

// What a row of targets holds behind its last label.
inline constexpr int64_t kNoCtcLabel = -1;

struct CtcForwardArgs {
  const Tensor& logits;   // [N,T,C]
  const Tensor& target;   // i64 [N,L]: labels, then kNoCtcLabel to the row's end
  const Tensor* lengths;  // i64 [N]: how many steps of each sample count, 0..T; null: all
  const CtcAttributes& attributes;
  Tensor& loss;     // rank 0, dtype of logits
  Tensor* dlogits;  // the gradient for an incoming gradient of 1, or null: not wanted
  bool dtypes_fit() const {
    return target.dtype() == DType::i64 && is_of(DType::i64, lengths) &&
           are_of(logits.dtype(), loss, dlogits);
  }
};

struct CtcKernels {
  KernelList<CtcForwardArgs> ctc{"ctc_loss"};
};

// How many labels a row of targets has, of at most `most`.
inline int64_t ctc_labels(const int64_t* row, int64_t most) {
  int64_t count = 0;
  while (count < most && row[count] != kNoCtcLabel) ++count;
  return count;
}

// The fewest steps that can spell these labels: one each, and a blank between two that are alike.
inline int64_t ctc_steps_needed(const int64_t* labels, int64_t count) {
  int64_t steps = count;
  for (int64_t i = 1; i < count; ++i) steps += labels[i] == labels[i - 1];
  return steps;
}

// log(exp(a) + exp(b)), of minus infinity too.
inline double log_added(double a, double b) {
  const double top = std::max(a, b);
  if (top == -std::numeric_limits<double>::infinity()) return top;
  return top + std::log1p(std::exp(std::min(a, b) - top));
}

}  // namespace graft::ops
