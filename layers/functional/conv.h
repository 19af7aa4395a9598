// Convolution in 1 to 3 spatial axes.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/conv.h"

namespace graft::functional {

// A batch's mean and biased variance by channel, [C] in f32 (f64 beside f64).
struct BatchStatistics {
  Tensor mean{}, variance{};
};

// x [N,C,spatial], weight [K,C/groups,kernel], bias [K] or undefined -> [N,K,output].
// attributes.window.kernel and .axes are taken from the weight. `statistics`, where given: of the
// result, for the batch_norm after it, when the kernel can take them while it has the result in its
// cache; else left undefined.
GRAFT_API Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias,
                      ops::ConvAttributes attributes = {}, BatchStatistics* statistics = nullptr);

}  // namespace graft::functional
