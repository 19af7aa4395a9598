// The bias' gradient of a convolution: sums of dy over its pixels. cuDNN's passes use it too.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft::cuda {

// dy f32, bf16 or f16 in channels_last; dbias f32 [K].
void conv_bias_gradient(const Tensor& dy, Tensor& dbias);

}  // namespace graft::cuda
