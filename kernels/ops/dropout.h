// Dropout: keeps each element with probability 1 - p and scales it by 1 / (1 - p). Which ones is a
// function of the random stream and the element's logical index, so layout and threads never
// matter.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct DropoutAttributes {
  static constexpr std::string_view id = "dropout";
  double probability = 0.5;
  uint64_t seed = 0, epoch = 0, step = 0;  // the stream: CountedRandom(seed, dropout, epoch, step)
  // Undefined, or i32 [5] beside x: the key and the counter's words of that stream, read when the
  // kernel runs. A step that a device repeats has another stream each time.
  Tensor words{};
};

// Forward and backward are the same call: y = x * mask, dx = dy * mask.
struct DropoutArgs {
  const Tensor& x;
  const DropoutAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y) && are_of(DType::i32, attributes.words); }
};

struct DropoutKernels {
  KernelList<DropoutArgs> apply{"dropout"};
};

}  // namespace graft::ops
