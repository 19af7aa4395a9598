// CTC loss, of sequences whose labels are not aligned with the steps of the network.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/ctc.h"

namespace graft::functional {

struct CtcOptions {
  int64_t blank = 0;  // the class that stands for no label
  ops::Reduction reduction = ops::Reduction::mean;
  bool zero_infinity = false;
  Tensor lengths{};  // i64 [N], steps of each sample that count, 0..T; undefined: all
};
// logits [N,T,C], before a softmax, C at least 2; target i64 [N,L], each row labels in [0,C) other
// than the blank and then -1 to its end (a row of -1 alone is the empty sequence) -> rank 0:
// -log p(labels), by Graves et al. 2006. mean divides each sample's by its number of labels (at
// least 1) and takes the mean over the samples, sum adds them, as PyTorch's ctc_loss of
// log-probabilities does. A sample with fewer steps than its labels need (one each, and one between
// two that are alike) has an infinite loss, or none with zero_infinity; its gradient is 0. The
// target has no gradient. The CPU alone has a kernel.
GRAFT_API Tensor ctc_loss(const Tensor& logits, const Tensor& target,
                          const CtcOptions& options = {});

}  // namespace graft::functional
