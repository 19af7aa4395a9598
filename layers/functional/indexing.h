// Gather and scatter by index tensors (i32 or i64, negative ones count from the end), and what is
// made of them. An index outside of its axis throws. Gradients go to the data and the updates.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/indexing.h"

namespace graft::functional {

// Slices of x along `axis`: [a,K,b] by indices of shape S -> [a,S,b]. An embedding is a gather of a
// [V,D] table.
GRAFT_API Tensor gather(const Tensor& x, const Tensor& indices, int axis = 0);
// y[i,j,k] = x[indices[i,j,k],j,k] for axis 0, and so on; indices of x's rank, not larger than x
// beside the axis.
GRAFT_API Tensor gather_elements(const Tensor& x, const Tensor& indices, int axis = 0);
// The last axis of the indices is a tuple, a place in x's axes after the `batch_axes` leading ones.
GRAFT_API Tensor gather_nd(const Tensor& x, const Tensor& indices, int batch_axes = 0);

// A copy of x with updates (of the indices' shape) put where gather_elements would read.
GRAFT_API Tensor scatter_elements(const Tensor& x, const Tensor& indices, const Tensor& updates,
                                  int axis = 0,
                                  ops::ScatterReduction reduction = ops::ScatterReduction::none);
// A copy of x with updates put where gather_nd would read.
GRAFT_API Tensor scatter_nd(const Tensor& x, const Tensor& indices, const Tensor& updates,
                            ops::ScatterReduction reduction = ops::ScatterReduction::none);

// indices of any shape and real dtype -> one more axis of `depth` at `axis`, `on` at the index,
// `off` elsewhere and for an index outside of [-depth, depth). on and off are of rank 0 and one
// dtype.
GRAFT_API Tensor one_hot(const Tensor& indices, int64_t depth, const Tensor& off, const Tensor& on,
                         int axis = -1);

// 1 at the first largest element of each line along `axis`, 0 elsewhere, in x's dtype. No gradient.
GRAFT_API Tensor hardmax(const Tensor& x, int axis = -1);

// The places of x's elements that are not 0, in order: i64 [rank of x, count]. Rank 0 counts as
// rank 1.
GRAFT_API Tensor nonzero(const Tensor& x);
// The slices of x along `axis` for which the condition (bool [K], shorter is filled with false)
// holds.
GRAFT_API Tensor compress(const Tensor& x, const Tensor& condition, int axis);

}  // namespace graft::functional
