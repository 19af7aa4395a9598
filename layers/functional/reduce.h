// Sums, means and extremes over axes.
#pragma once
#include <utility>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/reduce.h"

namespace graft::functional {

// axes empty: all of them.
GRAFT_API Tensor reduce(const Tensor& x, const ops::ReduceAttributes& attributes);
inline Tensor sum(const Tensor& x, std::vector<int> axes = {}, bool keep_axes = false) {
  return reduce(x, {ops::Reduce::sum, std::move(axes), keep_axes});
}
inline Tensor mean(const Tensor& x, std::vector<int> axes = {}, bool keep_axes = false) {
  return reduce(x, {ops::Reduce::mean, std::move(axes), keep_axes});
}

}  // namespace graft::functional
