// What the two families of convolutions on tensor cores share: mma's (tensor_conv.cu) and wgmma's
// (wgmma_conv.cu).
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cuda {

// Why neither takes it: x or dx, y or dy, weight f32 or its gradient. Null: tensor cores can.
const char* declines_tensor_conv(const Tensor& x, const Tensor& y, const Tensor* weight,
                                 const ops::ConvAttributes& attributes);
// The weight f32 [K,C,R,S] in the images' type, in the order of taps (channels_last).
Tensor rounded_weight(const Tensor& weight, DType type);

}  // namespace graft::cuda
