// Reductions and what else works along an axis: places of extremes, the k largest, running sums.
// Axes may be negative.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/ordering.h"

namespace graft::functional {

// functional::reduce (functional.h) sums, averages and so on over any axes.

// i64: where the largest (smallest) element of each line along `axis` lies; of equal ones the
// first, or the last.
GRAFT_API Tensor argmax(const Tensor& x, int axis = 0, bool keep_axis = true, bool last = false);
GRAFT_API Tensor argmin(const Tensor& x, int axis = 0, bool keep_axis = true, bool last = false);

struct TopK {
  Tensor values{}, indices{};  // x's shape with k on the axis; indices i64
};
// The k largest (smallest) along an axis in order, the extreme first; of equal ones that with the
// lower index. The values have a gradient.
GRAFT_API TopK topk(const Tensor& x, int64_t k, int axis = -1, bool largest = true);

// Running sums along an axis; exclusive: without the element itself; reverse: from the end.
GRAFT_API Tensor cumulative_sum(const Tensor& x, int axis, bool exclusive = false,
                                bool reverse = false);

}  // namespace graft::functional
