// grid_sample: an output element a thread; the grid's gradient a position a thread; the image's
// gathers, sorted by pixel, what each position gave.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/grid_places.h"
#include "graft/kernels/cuda/custom/sorted_targets.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/sample.h"

namespace graft::cuda {
namespace {

// x [N,C,D,H,W], the grid [N,positions,axes].
struct GridProblem {
  Span<const float> grid;
  int axes;
  int64_t channels, positions, extent[3];  // W, H, D
  ops::GridSampleAttributes attributes;

  GRAFT_HD int64_t plane() const { return extent[0] * extent[1] * extent[2]; }
  // How many elements of each plane one position reads at most.
  GRAFT_HD int64_t corners() const {
    const int64_t each = attributes.mode == ops::SampleMode::nearest  ? 1
                         : attributes.mode == ops::SampleMode::linear ? 2
                                                                      : 4;
    return axes == 1 ? each : axes == 2 ? each * each : each * each * each;
  }
  struct Sampled {
    AxisSamples axis[3];
  };
  GRAFT_HD Sampled at(int64_t position) const {  // counted over all images
    Sampled s;
    for (int axis = 0; axis < 3; ++axis) {
      if (axis < axes)
        s.axis[axis] = axis_samples(grid.load(position * axes + axis), extent[axis], attributes);
      else
        s.axis[axis].add(0, 1, 0);
    }
    return s;
  }
  // Corner k of a position: its element in the plane (-1: outside), and its weight; with `slope_of`
  // the weight's slope along that axis instead.
  GRAFT_HD int64_t corner(const Sampled& s, int64_t k, float& weight, int slope_of = -1) const {
    int64_t at = 0, step = 1;
    weight = 1;
    for (int axis = 0; axis < 3; ++axis) {
      const AxisSamples& samples = s.axis[axis];
      const int i = static_cast<int>(k % samples.count);
      k /= samples.count;
      if (samples.at[i] < 0) return -1;
      at += samples.at[i] * step;
      step *= extent[axis];
      weight *= axis == slope_of ? samples.slope[i] : samples.weight[i];
    }
    return at;
  }

  // grid: f32.
  static GridProblem of(const Tensor& x, const Tensor& grid, int64_t positions,
                        const ops::GridSampleAttributes& attributes) {
    GridProblem p{span<float>(grid), x.rank() - 2, x.size(1), positions, {1, 1, 1}, attributes};
    for (int axis = 0; axis < p.axes; ++axis) p.extent[axis] = x.shape()[x.rank() - 1 - axis];
    return p;
  }
};

template <class T>
struct GridForward {
  static constexpr const char* name = "grid_sample forward";
  static constexpr int group = 1;
  Span<const T> x;
  Span<T> y;
  GridProblem p;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t plane = i / p.positions,
                  place = plane / p.channels * p.positions + i % p.positions;
    const auto sampled = p.at(place);
    float sum = 0, weight = 0;
    for (int64_t k = 0; k < p.corners(); ++k) {
      const int64_t at = p.corner(sampled, k, weight);
      if (at >= 0) sum += weight * to_float(x.load(plane * p.plane() + at));
    }
    y.store(i, from_float<T>(sum));
  }
};

template <class T>
struct GridGradient {
  static constexpr const char* name = "grid_sample backward, grid";
  static constexpr int group = 1;
  Span<const T> x, dy;
  Span<T> dgrid;
  GridProblem p;
  template <int M>
  GRAFT_HD void at(int64_t place) const {
    const auto sampled = p.at(place);
    const int64_t image = place / p.positions, position = place % p.positions;
    float sums[3] = {}, slope = 0;
    for (int64_t c = 0; c < p.channels; ++c) {
      const int64_t plane = image * p.channels + c;
      const float g = to_float(dy.load(plane * p.positions + position));
      for (int64_t k = 0; k < p.corners(); ++k)
        for (int axis = 0; axis < p.axes; ++axis) {
          const int64_t at = p.corner(sampled, k, slope, axis);
          if (at >= 0) sums[axis] += g * slope * to_float(x.load(plane * p.plane() + at));
        }
    }
    for (int axis = 0; axis < p.axes; ++axis)
      dgrid.store(place * p.axes + axis, from_float<T>(sums[axis]));
  }
};

// An entry is a corner of a position; its target a pixel of an image, all channels.
struct PixelTarget {
  GridProblem p;
  GRAFT_HD int64_t target(int64_t entry) const {
    const int64_t place = entry / p.corners();
    float weight = 0;
    const int64_t at = p.corner(p.at(place), entry % p.corners(), weight);
    return at < 0 ? kNoTarget : place / p.positions * p.plane() + at;
  }
};

// dx is 0 where nothing was read.
template <class T>
struct ImageGradient {
  static constexpr const char* name = "grid_sample backward, image";
  static constexpr int group = 1;
  Span<const T> dy;
  Span<T> dx;
  GridProblem p;
  Targets targets;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t first = i % targets.count, c = i / targets.count, target = targets.run_at(first);
    if (target < 0) return;
    const int64_t plane = target / p.plane() * p.channels + c;
    float sum = 0, weight = 0;
    for (int64_t q = first; targets.goes_on(q, target); ++q) {
      const int64_t entry = targets.entries.load(q), place = entry / p.corners();
      p.corner(p.at(place), entry % p.corners(), weight);
      sum += weight * to_float(dy.load(plane * p.positions + place % p.positions));
    }
    dx.store(plane * p.plane() + target % p.plane(), from_float<T>(sum));
  }
};

const char* declines_forward(const ExecContext&, const ops::GridSampleForwardArgs& args) {
  return args.grid.device() != args.x.device() ? "the grid is on another device"
                                               : declines_dtype(args.x);
}
void forward(ExecContext&, ops::GridSampleForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const int64_t positions = args.y.shape().product(2, args.y.rank());
  const Tensor grid = args.grid.to(DType::f32);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.y.numel(),
               GridForward<T>{span<T>(args.x), mutable_span<T>(args.y),
                              GridProblem::of(args.x, grid, positions, args.attributes)});
  });
}

const char* declines_backward(const ExecContext&, const ops::GridSampleBackwardArgs& args) {
  return args.dgrid && args.grid.dtype() != args.x.dtype() ? "the grid has another dtype"
                                                           : declines_dtype(args.x);
}
void backward(ExecContext&, ops::GridSampleBackwardArgs& args) {
  const gpu::OperationName operation("grid_sample backward");
  gpu::Device& device = device_of(args.x);
  for (Tensor* to : {args.dx, args.dgrid})
    if (to && to->numel() > 0) device.set_bytes(to->mutable_raw(), 0, to->bytes());
  const int64_t positions = args.dy.shape().product(2, args.dy.rank()),
                places = args.x.size(0) * positions;
  if (args.dy.numel() == 0) return;
  const Tensor grid = args.grid.to(DType::f32);
  const GridProblem p = GridProblem::of(args.x, grid, positions, args.attributes);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (args.dgrid)
      launch_map(
          device, places,
          GridGradient<T>{span<T>(args.x), span<T>(args.dy), mutable_span<T>(*args.dgrid), p});
    if (!args.dx) return;
    const SortedTargets sorted =
        sort_by_target(args.x.device(), places * p.corners(), PixelTarget{p});
    launch_map(device, sorted.count * p.channels,
               ImageGradient<T>{span<T>(args.dy), mutable_span<T>(*args.dx), p, sorted.view()});
  });
}

}  // namespace

void register_sample(KernelSet& set) {
  set.sample.grid_forward.add({"cuda", declines_forward, forward});
  set.sample.grid_backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
