// Functions of images [N,C,spatial...] beyond convolution and pooling: transposed convolution,
// resizing, sampling at any place, and the rarer pools.
#pragma once
#include "graft/kernels/ops/resample.h"
#include "graft/kernels/ops/sample.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/pool.h"

namespace graft::functional {

// x [N,K,...], weight [K,C/groups,kernel], bias [C] or undefined -> [N,C,...]. Each spatial extent
// becomes stride * (in - 1) + output_padding + dilation * (kernel - 1) + 1 - pad_begin - pad_end.
// Pads may be negative (they add zeros); window.kernel and .axes are taken from the weight.
GRAFT_API Tensor conv_transpose(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                ops::ConvAttributes attributes = {},
                                const ops::Spatial& output_padding = {0, 0, 0});

// Weighted sums along one axis; resize is one an axis. Floating dtypes.
GRAFT_API Tensor resample(const Tensor& x, const ops::ResampleAttributes& attributes);

enum class ResizeMode : unsigned char { nearest, linear, cubic };
// How an output place maps to an input place; names as in ONNX's Resize.
enum class ResizeCoordinates : unsigned char {
  half_pixel,
  half_pixel_symmetric,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_crop_and_resize
};
enum class NearestRounding : unsigned char { round_prefer_floor, round_prefer_ceil, floor, ceil };

struct ResizeOptions {
  ResizeMode mode = ResizeMode::nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::half_pixel;
  NearestRounding rounding = NearestRounding::round_prefer_floor;
  double cubic_a = -0.75;
  bool exclude_outside =
      false;  // weights of places outside are 0 and the others are scaled up; else the edge repeats
  bool antialias = false;    // linear and cubic filters are widened when shrinking
  double extrapolation = 0;  // the value outside of the box of tf_crop_and_resize
};
struct ResizeAxis {
  int axis = 0;
  int64_t extent = 1;  // of the output
  double scale = 1;    // output by input extent, as given: it need not divide them exactly
  double roi_begin = 0, roi_end = 1;  // tf_crop_and_resize only
};
// Any axes of a tensor of any rank, as ONNX's Resize. Integers are resized in double, rounded to
// nearest even, saturated.
GRAFT_API Tensor resize(const Tensor& x, std::span<const ResizeAxis> axes,
                        const ResizeOptions& options = {});
// PyTorch's interpolate(size=...): the spatial axes to `extents`, half_pixel (or align_corners)
// coordinates. nearest takes the input element floor(i * in / out).
GRAFT_API Tensor interpolate(const Tensor& x, std::span<const int64_t> extents, ResizeMode mode,
                             bool align_corners = false);
inline Tensor interpolate(const Tensor& x, std::initializer_list<int64_t> extents, ResizeMode mode,
                          bool align_corners = false) {
  return interpolate(x, std::span(extents.begin(), extents.size()), mode, align_corners);
}

// What interpolate() does along one axis of `in` elements, as it stands in a trace.
GRAFT_API ops::ResampleAttributes interpolation(int axis, int64_t in, int64_t out, ResizeMode mode,
                                                bool align_corners = false);

// x [N,C,spatial...], grid [N,out...,axes] -> [N,C,out...]; ops/sample.h has the details. Gradients
// to both.
GRAFT_API Tensor grid_sample(const Tensor& x, const Tensor& grid,
                             const ops::GridSampleAttributes& attributes = {});
// theta [N,axes,axes+1] -> the grid [N,extents...,axes] that grid_sample reads; 2 or 3 axes.
GRAFT_API Tensor affine_grid(const Tensor& theta, std::span<const int64_t> extents,
                             bool align_corners = false);
// x [N,C,H,W], boxes [R,4] (x1, y1, x2, y2), batch i64 [R] -> [R,C,height,width]. The boxes have no
// gradient.
GRAFT_API Tensor roi_align(const Tensor& x, const Tensor& boxes, const Tensor& batch,
                           const ops::RoiAlignAttributes& attributes);

GRAFT_API Tensor global_max_pool(const Tensor& x);  // [N,C,...] -> [N,C,1,...]
// (sum |x|^p)^(1/p) over each window; padding counts as 0.
GRAFT_API Tensor lp_pool(const Tensor& x, const ops::Window& window, double p,
                         bool ceil_mode = false);
GRAFT_API Tensor global_lp_pool(const Tensor& x, double p);

struct PoolWithIndices {
  Tensor y{},
      indices{};  // indices i64 like y: the maximum's place in the whole of x, as ONNX counts
};
// column_major: rows of a plane count fastest (ONNX's storage_order 1).
GRAFT_API PoolWithIndices max_pool_with_indices(const Tensor& x,
                                                const ops::MaxPoolAttributes& attributes,
                                                bool column_major = false);
// The inverse: x's elements at `indices` of a tensor of zeros of `shape`.
GRAFT_API Tensor max_unpool(const Tensor& x, const Tensor& indices, const Shape& shape);

}  // namespace graft::functional
