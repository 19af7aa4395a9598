// Other shapes of the same elements, joined tensors, borders.
#pragma once
#include <initializer_list>
#include <span>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/shape_change.h"

namespace graft::functional {

// Elements in NCHW order into another shape. A channels_last input with more than one pixel is put
// in that order first.
GRAFT_API Tensor reshape(const Tensor& x, const Shape& shape);
// Joins the axes from `start` on: [N,C,H,W] -> [N,C*H*W].
GRAFT_API Tensor flatten(const Tensor& x, int start = 1);
GRAFT_API Tensor concat(std::span<const Tensor> inputs, int axis = 1);
inline Tensor concat(std::initializer_list<Tensor> inputs, int axis = 1) {
  return concat(std::span(inputs.begin(), inputs.size()), axis);
}
GRAFT_API Tensor pad(const Tensor& x, const ops::PadAttributes& attributes);

}  // namespace graft::functional
