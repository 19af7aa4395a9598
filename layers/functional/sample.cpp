// functional::grid_sample, affine_grid, roi_align and their Nodes.
#include "graft/kernels/ops/sample.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/beside.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"

namespace graft::functional {
namespace {

Tensor in_order(const Tensor& x) { return x.to(MemoryFormat::contiguous); }
TensorOptions contiguous_like(const Tensor& x) {
  return {.dtype = x.dtype(), .device = x.device()};
}

class GridSampleNode final : public Node {
 public:
  GridSampleNode(const Tensor& x, const Tensor& grid, const ops::GridSampleAttributes& attributes)
      : x_(x), grid_(grid), attributes_(attributes) {}
  const char* name() const override { return "grid_sample"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor &x = x_.get("grid_sample"), &grid = grid_.get("grid_sample");
    Tensor dx, dgrid;
    if (needs(0)) dx = Tensor::empty(x.shape(), contiguous_like(x));
    if (needs(1)) dgrid = Tensor::empty(grid.shape(), contiguous_like(grid));
    kernels_for<ops::SampleKernels>(x).grid_backward(
        current_context(), {in_order(x), in_order(grid), in_order(grads[0]), attributes_,
                            needs(0) ? &dx : nullptr, needs(1) ? &dgrid : nullptr});
    return {needs(0) ? dx.to(x.format()) : dx, needs(1) ? dgrid.to(grid.format()) : dgrid};
  }
  void release() override {
    x_.release();
    grid_.release();
  }

 private:
  SavedTensor x_, grid_;
  ops::GridSampleAttributes attributes_;
};

class RoiAlignNode final : public Node {
 public:
  RoiAlignNode(const Tensor& x, const Tensor& boxes, const Tensor& batch,
               const ops::RoiAlignAttributes& attributes)
      : x_(x), boxes_(boxes), batch_(batch), attributes_(attributes) {}
  const char* name() const override { return "roi_align"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& x = x_.get("roi_align");
    Tensor dx = Tensor::empty(x.shape(), contiguous_like(x));
    kernels_for<ops::SampleKernels>(x).roi_backward(
        current_context(), {in_order(x), boxes_.get("roi_align"), batch_.get("roi_align"),
                            in_order(grads[0]), attributes_, dx});
    return {dx.to(x.format()), Tensor(), Tensor()};
  }
  void release() override {
    for (SavedTensor* saved : {&x_, &boxes_, &batch_}) saved->release();
  }

 private:
  SavedTensor x_, boxes_, batch_;
  ops::RoiAlignAttributes attributes_;
};

// The places of the centres (or corners) of `extent` cells in [-1, 1].
std::vector<double> even_places(int64_t extent, bool align_corners) {
  std::vector<double> places;
  const auto count = static_cast<double>(extent);
  for (int64_t i = 0; i < extent; ++i) {
    const auto at = static_cast<double>(i);
    places.push_back(align_corners ? (extent > 1 ? 2 * at / (count - 1) - 1 : -1)
                                   : (2 * at + 1) / count - 1);
  }
  return places;
}

Replay replay_grid_sample(const ReplaySite& site) {
  const auto a = site.as<ops::GridSampleAttributes>();
  return {[a](const auto& in) { return grid_sample(in[0], in[1], a); }, {}};
}

Replay refuse_roi_align(const ReplaySite&) {
  return Replay::refused("its results are boxes, which name their images by number");
}

}  // namespace

Tensor grid_sample(const Tensor& x, const Tensor& grid,
                   const ops::GridSampleAttributes& attributes) {
  GRAFT_CHECK(x.rank() >= 3 && x.rank() <= 5 && grid.rank() == x.rank() &&
                  grid.size(0) == x.size(0) && grid.size(-1) == x.rank() - 2,
              "grid_sample: grid ", grid.shape(), " for ", x.shape());
  if (grid.device() != x.device())
    return grid_sample(x, beside("grid_sample", grid, x.device()), attributes);
  for (int axis = 2; axis < x.rank(); ++axis)
    GRAFT_CHECK(x.size(axis) > 0, "grid_sample: ", x.shape(), " has no pixels");
  Shape shape = x.shape();
  for (int axis = 2; axis < x.rank(); ++axis) shape = shape.with(axis, grid.size(axis - 1));
  Tensor y = Tensor::empty(shape, contiguous_like(x));
  kernels_for<ops::SampleKernels>(x).grid_forward(current_context(),
                                                  {in_order(x), in_order(grid), attributes, y});
  return record(attributes, replay_grid_sample, {x, grid}, y.to(x.format()),
                [&] { return std::make_shared<GridSampleNode>(x, grid, attributes); });
}

Tensor affine_grid(const Tensor& theta, std::span<const int64_t> extents, bool align_corners) {
  const auto axes = static_cast<int64_t>(extents.size());
  GRAFT_CHECK((axes == 2 || axes == 3) && theta.rank() == 3 && theta.size(1) == axes &&
                  theta.size(2) == axes + 1,
              "affine_grid: theta ", theta.shape(), " for ", axes, " spatial axes");
  const Shape spatial(extents);
  Tensor places = Tensor::empty({axes + 1, spatial.numel()},
                                {.dtype = DType::f64});  // x, y, (z), 1 of every position
  double* out = places.mutable_data<double>();
  for (int64_t row = 0; row < axes; ++row) {
    const int axis = static_cast<int>(axes - 1 - row);
    const std::vector<double> even = even_places(spatial[axis], align_corners);
    const int64_t inner = spatial.product(axis + 1, spatial.rank());
    for (int64_t i = 0; i < spatial.numel(); ++i)
      *out++ = even[static_cast<size_t>(i / inner % spatial[axis])];
  }
  std::fill(out, out + spatial.numel(), 1.0);
  static constexpr int kLast[] = {0, 2, 1};
  std::vector<int64_t> shape{theta.size(0)};
  shape.insert(shape.end(), extents.begin(), extents.end());
  shape.push_back(axes);
  return reshape(transpose(matmul(theta, places.to(theta.dtype())), kLast),
                 Shape(std::span<const int64_t>(shape)));
}

Tensor roi_align(const Tensor& x, const Tensor& boxes, const Tensor& batch,
                 const ops::RoiAlignAttributes& attributes) {
  GRAFT_CHECK(x.rank() == 4 && x.size(2) > 0 && x.size(3) > 0 && boxes.rank() == 2 &&
                  boxes.size(1) == 4 && is_floating(boxes.dtype()) &&
                  batch.shape() == Shape{boxes.size(0)},
              "roi_align: boxes ", boxes.shape(), " of images ", batch.shape(), " for ", x.shape());
  if (boxes.device() != x.device())
    return roi_align(x, beside("roi_align", boxes, x.device()), batch, attributes);
  GRAFT_CHECK(attributes.height >= 1 && attributes.width >= 1, "roi_align: an output of ",
              attributes.height, " by ", attributes.width);
  const Tensor images = to_device(cast(batch, DType::i64), x.device());
  if (is_cpu(x.device()))  // a device's kernel makes boxes of no image NaN
    for (const int64_t n : images.elements<int64_t>())
      GRAFT_CHECK(n >= 0 && n < x.size(0), "roi_align: image ", n, " of ", x.size(0));
  Tensor y = Tensor::empty({boxes.size(0), x.size(1), attributes.height, attributes.width},
                           contiguous_like(x));
  kernels_for<ops::SampleKernels>(x).roi_forward(current_context(),
                                                 {in_order(x), boxes, images, attributes, y});
  return record(attributes, refuse_roi_align, {x, boxes, images}, y.to(x.format()),
                [&] { return std::make_shared<RoiAlignNode>(x, boxes, images, attributes); });
}

}  // namespace graft::functional
