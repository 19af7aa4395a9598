// IndexedPlaces: which block of contiguous elements of x entry k of an index tensor names;
// ops/indexing.h's rule as index maths, host and device. An index outside of x names none.
#pragma once
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/ops/indexing.h"

namespace graft::cuda {

struct IndexedPlaces {
  ops::Indexing indexing = ops::Indexing::slices;
  int rank = 0, axis = 0, length = 0;  // of x; slices, elements; of a tuple
  int64_t block = 1, count = 0;        // elements of a block; entries
  int64_t indices = 1, extent = 1;     // slices: how many indices, and what they index
  int64_t batch = 1, batch_axes = 0;   // tuples: entries of one batch
  int64_t x[Shape::max_rank]{}, shape[Shape::max_rank]{};  // extents of x and of the indices

  // The first element of entry k's block; -1: outside. index(i): element i of the indices.
  template <class F>
  GRAFT_HD int64_t start(int64_t k, const F& index) const {
    switch (indexing) {
      case ops::Indexing::slices:
        return block_of(k / indices * extent, inside(index(k % indices), extent));
      case ops::Indexing::elements: {
        int64_t start = 0, step = 1, left = k;
        for (int a = rank - 1; a >= 0; --a) {
          const int64_t place = a == axis ? inside(index(k), x[a]) : left % shape[a];
          if (place < 0) return -1;
          start += place * step;
          step *= x[a];
          left /= shape[a];
        }
        return start;
      }
      default: break;
    }
    int64_t start = k / batch;
    for (int i = 0; i < length; ++i) {
      const int64_t place = inside(index(k * length + i), x[batch_axes + i]);
      if (place < 0) return -1;
      start = start * x[batch_axes + i] + place;
    }
    return start * block;
  }

  static IndexedPlaces of(const Shape& x, const Shape& indices, ops::Indexing indexing, int axis,
                          int batch_axes) {
    IndexedPlaces places;
    places.indexing = indexing, places.rank = x.rank(), places.axis = axis;
    for (int a = 0; a < x.rank(); ++a) places.x[a] = x[a];
    for (int a = 0; a < indices.rank(); ++a) places.shape[a] = indices[a];
    places.count = places.indices = indices.numel();
    if (indexing == ops::Indexing::slices) {
      places.extent = x[axis], places.block = x.product(axis + 1, x.rank());
      places.count = x.product(0, axis) * places.indices;
    } else if (indexing == ops::Indexing::tuples) {
      places.length = static_cast<int>(indices[indices.rank() - 1]), places.batch_axes = batch_axes;
      places.count = indices.product(0, indices.rank() - 1),
      places.batch = indices.product(batch_axes, indices.rank() - 1);
      places.block = x.product(batch_axes + places.length, x.rank());
    }
    return places;
  }

 private:
  GRAFT_HD static int64_t inside(int64_t index, int64_t of) {
    const int64_t place = index < 0 ? index + of : index;
    return place < 0 || place >= of ? -1 : place;
  }
  GRAFT_HD int64_t block_of(int64_t first, int64_t place) const {
    return place < 0 ? -1 : (first + place) * block;
  }
};

// The same with an index tensor of the device's, int64 or int32.
struct IndexedTensor {
  IndexedPlaces places;
  Span<const int64_t> wide;
  Span<const int32_t> narrow;  // or this one
  GRAFT_HD int64_t start(int64_t k) const {
    return places.start(k, [this](int64_t i) {
      return wide ? wide.load(i) : static_cast<int64_t>(narrow.load(i));
    });
  }

  static IndexedTensor of(const Shape& x, const Tensor& indices, ops::Indexing indexing, int axis,
                          int batch_axes = 0) {
    const bool wide = indices.dtype() == DType::i64;
    return {IndexedPlaces::of(x, indices.shape(), indexing, axis, batch_axes),
            wide ? span<int64_t>(indices) : Span<const int64_t>{},
            wide ? Span<const int32_t>{} : span<int32_t>(indices)};
  }
};

}  // namespace graft::cuda
