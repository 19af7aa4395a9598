// The bias' gradients of convolutions and linear layers: sums of dy over pixels or rows. The
// libraries' passes use them too.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft::cuda {

// dy f32, bf16 or f16 in channels_last; dbias f32 [K].
void conv_bias_gradient(const Tensor& dy, Tensor& dbias);
// dy f32, bf16 or f16 [rows, out]; dbias of the same type [out].
void linear_bias_gradient(const Tensor& dy, Tensor& dbias);

}  // namespace graft::cuda
