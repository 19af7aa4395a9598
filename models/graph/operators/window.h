// The window attributes that ONNX's convolutions and pools share.
#pragma once
#include "graft/layers/functional/conv.h"
#include "graft/models/graph/op_call.h"

namespace graft::models::graph {

// kernel, strides, dilations, and pads with auto_pad worked out for the input's extents. bad_input
// for 0 or more than 3 spatial axes, or lists of another length.
ops::Window read_window(const OpCall& call, const Shape& x, const std::vector<int64_t>& kernel);
// The same for a weight [K,C/groups,kernel...], which kernel_shape must not contradict.
ops::ConvAttributes read_convolution(const OpCall& call, const Tensor& x, const Tensor& weight);
inline constexpr const char* kConvolutionAttributes =
    "auto_pad dilations group kernel_shape pads strides";

}  // namespace graft::models::graph
