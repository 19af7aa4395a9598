// Functions that move elements and compute nothing: every dtype, and a gradient for the floating
// ones. Axes may be negative: they count from the end.
#pragma once
#include "graft/kernels/ops/take.h"
#include "graft/layers/functional/shape_change.h"

namespace graft::functional {

// Each axis of the result walks one axis of x by its own rule; the functions below are made of it.
GRAFT_API Tensor take(const Tensor& x, const ops::TakeAttributes& attributes);

// Axis i of the result is axis order[i] of x. order empty: all axes reversed.
GRAFT_API Tensor transpose(const Tensor& x, std::span<const int> order = {});
inline Tensor transpose(const Tensor& x, std::initializer_list<int> order) {
  return transpose(x, std::span(order.begin(), order.size()));
}

// ONNX's Slice. starts and ends clamp to x; negative ones count from the end; steps may be
// negative, not 0. axes empty: the first ones; steps empty: 1.
struct SliceRange {
  std::vector<int64_t> starts{}, ends{};
  std::vector<int> axes{};
  std::vector<int64_t> steps{};
};
GRAFT_API Tensor slice(const Tensor& x, const SliceRange& range);

// Parts of the given sizes along an axis; the sizes add up to its extent.
GRAFT_API std::vector<Tensor> split(const Tensor& x, std::span<const int64_t> sizes, int axis);
inline std::vector<Tensor> split(const Tensor& x, std::initializer_list<int64_t> sizes, int axis) {
  return split(x, std::span(sizes.begin(), sizes.size()), axis);
}

// x broadcast together with `shape`, as ONNX's Expand: axes of x may be larger than those of
// `shape`.
GRAFT_API Tensor expand(const Tensor& x, const Shape& shape);
// repeats[i] copies along axis i.
GRAFT_API Tensor tile(const Tensor& x, std::span<const int64_t> repeats);
inline Tensor tile(const Tensor& x, std::initializer_list<int64_t> repeats) {
  return tile(x, std::span(repeats.begin(), repeats.size()));
}
GRAFT_API Tensor reverse(const Tensor& x, std::span<const int> axes);
inline Tensor reverse(const Tensor& x, std::initializer_list<int> axes) {
  return reverse(x, std::span(axes.begin(), axes.size()));
}

// axes empty: every axis of extent 1.
GRAFT_API Tensor squeeze(const Tensor& x, std::span<const int> axes = {});
inline Tensor squeeze(const Tensor& x, std::initializer_list<int> axes) {
  return squeeze(x, std::span(axes.begin(), axes.size()));
}
// axes of the result.
GRAFT_API Tensor unsqueeze(const Tensor& x, std::span<const int> axes);
inline Tensor unsqueeze(const Tensor& x, std::initializer_list<int> axes) {
  return unsqueeze(x, std::span(axes.begin(), axes.size()));
}

enum class PadMode : unsigned char {
  constant,  // `value`
  edge,      // the outermost element
  reflect,   // mirrored without the outermost element: c b | a b c | b a
  wrap,      // periodic
};
// begin[i] elements before and end[i] after axis i; negative amounts crop, before anything is
// added.
GRAFT_API Tensor pad(const Tensor& x, std::span<const int64_t> begin, std::span<const int64_t> end,
                     PadMode mode, double value = 0);
inline Tensor pad(const Tensor& x, std::initializer_list<int64_t> begin,
                  std::initializer_list<int64_t> end, PadMode mode, double value = 0) {
  return pad(x, std::span(begin.begin(), begin.size()), std::span(end.begin(), end.size()), mode,
             value);
}

// [N,C*b*b,H,W] -> [N,C,H*b,W*b]. column_first: ONNX's CRD (PyTorch's pixel_shuffle), else DCR.
GRAFT_API Tensor depth_to_space(const Tensor& x, int64_t block, bool column_first = false);
// [N,C,H*b,W*b] -> [N,b*b*C,H,W], the inverse of depth_to_space's DCR.
GRAFT_API Tensor space_to_depth(const Tensor& x, int64_t block);

// The upper (or lower) triangles of x's last two axes, 0 elsewhere; k shifts the diagonal to the
// right.
GRAFT_API Tensor trilu(const Tensor& x, bool upper, int64_t k = 0);

// start, start + delta, ... before limit. Computed in double (integers: exactly).
GRAFT_API Tensor range(double start, double limit, double delta, DType dtype);
GRAFT_API Tensor range(int64_t start, int64_t limit, int64_t delta, DType dtype);
// [rows, columns] with ones on diagonal k.
GRAFT_API Tensor eye(int64_t rows, int64_t columns, int64_t k, DType dtype);

}  // namespace graft::functional
