// Gather and scatter: elements at places that an index tensor names. Semantics of ONNX's Gather,
// GatherElements, GatherND, ScatterElements and ScatterND.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class Indexing : unsigned char {
  slices,    // indices of any shape; each names a slice of x along `axis`
  elements,  // indices of x's rank; each names the element at its own place but for `axis`
  tuples,    // the last axis of the indices is a tuple: a place in x's axes from `batch_axes` on
};

// Which blocks of contiguous elements of x an index tensor names, in the order of the indices.
struct IndexedBlocks {
  int64_t block = 1;            // elements of one
  std::vector<int64_t> starts;  // offsets in elements
};

struct GatherAttributes {
  static constexpr std::string_view id = "gather";
  Indexing indexing = Indexing::slices;
  int axis = 0;        // slices, elements
  int batch_axes = 0;  // tuples: leading axes that x and the indices share
};

enum class ScatterReduction : unsigned char { none, add, mul, max, min };
struct ScatterAttributes {
  static constexpr std::string_view id = "scatter";
  Indexing indexing = Indexing::elements;  // or tuples (without batch axes)
  int axis = 0;
  ScatterReduction reduction =
      ScatterReduction::none;  // none: the last of several updates of one element stays
};

// i32 or i64 indices; negative ones count from the end. bad_input for an index outside of x or
// shapes that do not fit.
GRAFT_API Shape gather_output_shape(const Shape& x, const Shape& indices,
                                    const GatherAttributes& attributes);
GRAFT_API IndexedBlocks indexed_blocks(const Shape& x, const Tensor& indices,
                                       const GatherAttributes& attributes);
GRAFT_API IndexedBlocks indexed_blocks(const Shape& x, const Tensor& indices, const Shape& updates,
                                       const ScatterAttributes& attributes);

// All tensors contiguous. Every dtype.
struct GatherForwardArgs {
  const Tensor& x;
  const Tensor& indices;
  const GatherAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y) && is_index(indices); }
};
struct GatherBackwardArgs {
  const Tensor& dy;
  const Tensor& indices;
  const GatherAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx) && is_index(indices); }
};
struct ScatterForwardArgs {
  const Tensor& x;
  const Tensor& indices;
  const Tensor& updates;
  const ScatterAttributes& attributes;
  Tensor& y;  // like x
  bool dtypes_fit() const { return are_of(x.dtype(), updates, y) && is_index(indices); }
};
// max and min share the gradient equally among equal extremes.
struct ScatterBackwardArgs {
  const Tensor& x;
  const Tensor& indices;
  const Tensor& updates;
  const Tensor& y;
  const Tensor& dy;
  const ScatterAttributes& attributes;
  Tensor* dx;        // or null: not wanted
  Tensor* dupdates;  // or null
  bool dtypes_fit() const {
    return are_of(x.dtype(), updates, y, dy, dx, dupdates) && is_index(indices);
  }
};

struct IndexingKernels {
  KernelList<GatherForwardArgs> gather_forward{"gather forward"};
  KernelList<GatherBackwardArgs> gather_backward{"gather backward"};
  KernelList<ScatterForwardArgs> scatter_forward{"scatter forward"};
  KernelList<ScatterBackwardArgs> scatter_backward{"scatter backward"};
};

}  // namespace graft::ops
