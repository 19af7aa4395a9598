// Gather's and scatter's shape rules, and their indices as checked offsets of blocks.
#include "graft/kernels/ops/indexing.h"

#include <algorithm>

namespace graft::ops {
namespace {

// Both index types as int64, wrapped and checked against `extent`.
class IndexReader {
 public:
  IndexReader(const char* op, const Tensor& indices) : op_(op) {
    GRAFT_CHECK(indices.dtype() == DType::i64 || indices.dtype() == DType::i32, op, ": indices of ",
                name_of(indices.dtype()), ", expected int64 or int32");
    const Tensor ordered = indices.to(MemoryFormat::contiguous).to(DType::i64);
    const auto elements = ordered.elements<int64_t>();
    values_.assign(elements.begin(), elements.end());
  }
  int64_t operator()(int64_t i, int64_t extent) const {
    const int64_t value = values_[static_cast<size_t>(i)];
    GRAFT_CHECK(value >= -extent && value < extent, op_, ": index ", value,
                " is outside of an axis of ", extent);
    return value < 0 ? value + extent : value;
  }

 private:
  const char* op_;
  std::vector<int64_t> values_;
};

// Each index names the element at its own place, but for `axis`.
IndexedBlocks blocks_of_elements(const char* op, const Shape& x, const Tensor& indices, int axis) {
  const IndexReader index(op, indices);
  const Shape& s = indices.shape();
  IndexedBlocks blocks{1, std::vector<int64_t>(static_cast<size_t>(s.numel()))};
  int64_t at[Shape::max_rank] = {};
  for (int64_t i = 0; i < s.numel(); ++i) {
    int64_t start = 0;
    for (int a = 0; a < x.rank(); ++a) start = start * x[a] + (a == axis ? index(i, x[a]) : at[a]);
    blocks.starts[static_cast<size_t>(i)] = start;
    for (int a = s.rank() - 1; a >= 0; --a) {
      if (++at[a] < s[a]) break;
      at[a] = 0;
    }
  }
  return blocks;
}

IndexedBlocks blocks_of_tuples(const char* op, const Shape& x, const Tensor& indices,
                               int batch_axes) {
  const IndexReader index(op, indices);
  const Shape& s = indices.shape();
  const int length = static_cast<int>(s[s.rank() - 1]);
  const int64_t tuples = s.product(0, s.rank() - 1), batches = s.product(0, batch_axes);
  IndexedBlocks blocks{x.product(batch_axes + length, x.rank()),
                       std::vector<int64_t>(static_cast<size_t>(tuples))};
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t start = batches ? t / (tuples / batches) : 0;
    for (int i = 0; i < length; ++i)
      start = start * x[batch_axes + i] + index(t * length + i, x[batch_axes + i]);
    blocks.starts[static_cast<size_t>(t)] = start * blocks.block;
  }
  return blocks;
}

IndexedBlocks blocks_of_slices(const Shape& x, const Tensor& indices, int axis) {
  const IndexReader index("gather", indices);
  const int64_t outer = x.product(0, axis), count = indices.numel();
  IndexedBlocks blocks{x.product(axis + 1, x.rank()), {}};
  blocks.starts.reserve(static_cast<size_t>(checked_mul(outer, count)));
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < count; ++i)
      blocks.starts.push_back((o * x[axis] + index(i, x[axis])) * blocks.block);
  return blocks;
}

void check_elements(const char* op, const Shape& x, const Shape& indices, int axis) {
  GRAFT_CHECK(x.rank() == indices.rank() && axis >= 0 && axis < x.rank(), op, ": indices ", indices,
              " on axis ", axis, " of ", x);
  for (int a = 0; a < x.rank(); ++a)
    GRAFT_CHECK(a == axis || indices[a] <= x[a], op, ": indices ", indices, " are larger than ", x,
                " beside axis ", axis);
}

// The shape that tuples of indices give: their own but the last axis, then the axes of x that a
// tuple leaves.
Shape tuples_shape(const char* op, const Shape& x, const Shape& indices, int batch_axes) {
  GRAFT_CHECK(indices.rank() >= 1 && batch_axes >= 0 && batch_axes < indices.rank() &&
                  batch_axes <= x.rank() && indices[indices.rank() - 1] <= x.rank() - batch_axes,
              op, ": tuples of indices ", indices, " for ", x, " with ", batch_axes, " batch axes");
  for (int a = 0; a < batch_axes; ++a)
    GRAFT_CHECK(indices[a] == x[a], op, ": batch axis ", a, " of indices ", indices, " and of ", x,
                " differ");
  std::vector<int64_t> extents(indices.begin(), indices.end() - 1);
  extents.insert(extents.end(), x.begin() + batch_axes + indices[indices.rank() - 1], x.end());
  return Shape(std::span<const int64_t>(extents));
}

}  // namespace

Shape gather_output_shape(const Shape& x, const Shape& indices,
                          const GatherAttributes& attributes) {
  const int axis = attributes.axis;
  switch (attributes.indexing) {
    case Indexing::elements: check_elements("gather", x, indices, axis); return indices;
    case Indexing::tuples: return tuples_shape("gather", x, indices, attributes.batch_axes);
    case Indexing::slices: break;
  }
  GRAFT_CHECK(axis >= 0 && axis < x.rank(), "gather: axis ", axis, " of ", x);
  std::vector<int64_t> extents(x.begin(), x.begin() + axis);
  extents.insert(extents.end(), indices.begin(), indices.end());
  extents.insert(extents.end(), x.begin() + axis + 1, x.end());
  return Shape(std::span<const int64_t>(extents));
}

IndexedBlocks indexed_blocks(const Shape& x, const Tensor& indices,
                             const GatherAttributes& attributes) {
  switch (attributes.indexing) {
    case Indexing::elements: return blocks_of_elements("gather", x, indices, attributes.axis);
    case Indexing::tuples: return blocks_of_tuples("gather", x, indices, attributes.batch_axes);
    case Indexing::slices: break;
  }
  return blocks_of_slices(x, indices, attributes.axis);
}

IndexedBlocks indexed_blocks(const Shape& x, const Tensor& indices, const Shape& updates,
                             const ScatterAttributes& attributes) {
  GRAFT_CHECK(attributes.indexing != Indexing::slices, "scatter: by elements or tuples only");
  const bool elements = attributes.indexing == Indexing::elements;
  if (elements) check_elements("scatter", x, indices.shape(), attributes.axis);
  const Shape expected =
      elements ? indices.shape() : tuples_shape("scatter", x, indices.shape(), 0);
  GRAFT_CHECK(updates == expected, "scatter: updates ", updates, " for indices ", indices.shape(),
              " into ", x, ", expected ", expected);
  return elements ? blocks_of_elements("scatter", x, indices, attributes.axis)
                  : blocks_of_tuples("scatter", x, indices, 0);
}

}  // namespace graft::ops
