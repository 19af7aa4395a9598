// Ops that read images between their pixels: grid_sample and roi_align. Everything is contiguous
// and floating; places (grid, boxes) may be of another floating dtype than the pixels.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class SampleMode : unsigned char { nearest, linear, cubic };
enum class SamplePadding : unsigned char { zeros, border, reflection };

// As torch.nn.functional.grid_sample; cubic with a = -0.75.
struct GridSampleAttributes {
  static constexpr std::string_view id = "grid_sample";
  SampleMode mode = SampleMode::linear;
  SamplePadding padding = SamplePadding::zeros;
  bool align_corners = false;
};
struct GridSampleForwardArgs {
  const Tensor& x;     // [N,C,spatial...], 1 to 3 spatial axes
  const Tensor& grid;  // [N,out...,axes], the last spatial axis first, [-1,1] from border to border
  const GridSampleAttributes& attributes;
  Tensor& y;  // [N,C,out...]
  bool dtypes_fit() const { return are_of(x.dtype(), y) && is_floating(grid.dtype()); }
};
struct GridSampleBackwardArgs {
  const Tensor& x;
  const Tensor& grid;
  const Tensor& dy;
  const GridSampleAttributes& attributes;
  Tensor* dx;     // or null: not wanted
  Tensor* dgrid;  // or null
  bool dtypes_fit() const {
    return are_of(x.dtype(), dy, dx) && are_of(grid.dtype(), dgrid) && is_floating(grid.dtype());
  }
};

// As ONNX's RoiAlign (He et al. 2017). A box is x1, y1, x2, y2 in image coordinates.
struct RoiAlignAttributes {
  static constexpr std::string_view id = "roi_align";
  int64_t height = 1, width = 1;  // of the output
  int64_t sampling_ratio =
      0;  // samples an output cell and axis; 0: as many as input cells under it
  double spatial_scale = 1;
  bool half_pixel = true;  // boxes are shifted by half a cell; else boxes are at least one cell
  bool max =
      false;  // the largest weighted corner (ONNX's definition), else the mean of the samples
};
struct RoiAlignForwardArgs {
  const Tensor& x;      // [N,C,H,W]
  const Tensor& boxes;  // [R,4]
  const Tensor& batch;  // i64 [R], the image of each box
  const RoiAlignAttributes& attributes;
  Tensor& y;  // [R,C,height,width]
  bool dtypes_fit() const {
    return are_of(x.dtype(), y) && is_floating(boxes.dtype()) && are_of(DType::i64, batch);
  }
};
struct RoiAlignBackwardArgs {
  const Tensor& x;
  const Tensor& boxes;
  const Tensor& batch;
  const Tensor& dy;
  const RoiAlignAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const {
    return are_of(x.dtype(), dy, dx) && is_floating(boxes.dtype()) && are_of(DType::i64, batch);
  }
};

struct SampleKernels {
  KernelList<GridSampleForwardArgs> grid_forward{"grid_sample forward"};
  KernelList<GridSampleBackwardArgs> grid_backward{"grid_sample backward"};
  KernelList<RoiAlignForwardArgs> roi_forward{"roi_align forward"};
  KernelList<RoiAlignBackwardArgs> roi_backward{"roi_align backward"};
};

}  // namespace graft::ops
