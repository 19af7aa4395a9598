// grid_sample: every output position is a product of one-dimensional interpolations.
#include <cmath>

#include "graft/kernels/ops/sample.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::SampleMode;
using ops::SamplePadding;

// Up to four input elements of one axis, their weights and the weights' slopes in the grid's
// coordinate.
struct AxisSamples {
  int count = 0;
  int64_t at[4];  // -1: outside, counts as 0
  double weight[4], slope[4];
  void add(int64_t position, double w, double s) {
    at[count] = position, weight[count] = w, slope[count++] = s;
  }
};

// Mirrors u into the image; `slope` is multiplied by the derivative.
double mirrored(double u, int64_t extent, bool align_corners, double& slope) {
  const double low = align_corners ? 0 : -0.5,
               span = align_corners ? static_cast<double>(extent - 1) : static_cast<double>(extent);
  if (span <= 0) return slope = 0;
  double distance = u - low, sign = 1;
  if (distance < 0) distance = -distance, sign = -1;
  const double flips = std::floor(distance / span), rest = distance - flips * span;
  const bool odd = std::fmod(flips, 2) != 0;
  slope *= odd ? -sign : sign;
  return odd ? low + span - rest : low + rest;
}

double clamped(double u, int64_t extent, double& slope) {
  const auto last = static_cast<double>(extent - 1);
  if (u <= 0 || u >= last || u != u) {
    slope = u == last ? slope : 0;
    return u >= last ? last : 0;
  }
  return u;
}

int64_t inside(double position, int64_t extent, const ops::GridSampleAttributes& a) {
  double ignored = 1;
  if (a.padding == SamplePadding::reflection)
    position = mirrored(position, extent, a.align_corners, ignored);
  if (a.padding != SamplePadding::zeros) position = clamped(position, extent, ignored);
  return position >= 0 && position < static_cast<double>(extent) ? static_cast<int64_t>(position)
                                                                 : -1;
}

AxisSamples samples_of(double coordinate, int64_t extent, const ops::GridSampleAttributes& a) {
  const auto length = static_cast<double>(extent);
  double slope = a.align_corners ? (length - 1) / 2 : length / 2;
  double u =
      a.align_corners ? (coordinate + 1) / 2 * (length - 1) : ((coordinate + 1) * length - 1) / 2;
  AxisSamples samples;
  if (a.mode != SampleMode::cubic) {
    if (a.padding == SamplePadding::reflection) u = mirrored(u, extent, a.align_corners, slope);
    if (a.padding != SamplePadding::zeros) u = clamped(u, extent, slope);
  }
  if (a.mode == SampleMode::nearest) {
    samples.add(inside(std::nearbyint(u), extent, a), 1, 0);
    return samples;
  }
  const double base = std::floor(u), t = u - base;
  if (a.mode == SampleMode::linear) {
    samples.add(inside(base, extent, a), 1 - t, -slope);
    samples.add(inside(base + 1, extent, a), t, slope);
    return samples;
  }
  constexpr double k = -0.75;
  const auto near_weight = [](double s) {
    return ((k + 2) * s - (k + 3)) * s * s + 1;
  };  // |s| <= 1
  const auto far_weight = [](double s) {
    return ((k * s - 5 * k) * s + 8 * k) * s - 4 * k;
  };  // 1 < |s| < 2
  const auto near_slope = [](double s) { return (3 * (k + 2) * s - 2 * (k + 3)) * s; };
  const auto far_slope = [](double s) { return (3 * k * s - 10 * k) * s + 8 * k; };
  samples.add(inside(base - 1, extent, a), far_weight(t + 1), slope * far_slope(t + 1));
  samples.add(inside(base, extent, a), near_weight(t), slope * near_slope(t));
  samples.add(inside(base + 1, extent, a), near_weight(1 - t), -slope * near_slope(1 - t));
  samples.add(inside(base + 2, extent, a), far_weight(2 - t), -slope * far_slope(2 - t));
  return samples;
}

// x and y as [N,C,D,H,W], with the samples of each output position.
struct GridProblem {
  Extents5 x, y;
  int axes;
  const ops::GridSampleAttributes& attributes;
  std::vector<double> grid;

  GridProblem(const Tensor& image, const Tensor& places, const Shape& out,
              const ops::GridSampleAttributes& a)
      : x(extents5(image.shape())),
        y(extents5(out)),
        axes(image.rank() - 2),
        attributes(a),
        grid(places.to_doubles()) {}

  int64_t positions() const { return y.d * y.h * y.w; }
  int64_t plane() const { return x.d * x.h * x.w; }

  // f(offset in the plane, weight, slopes by the grid's coordinate order) for every element under
  // output `at` of image n.
  template <class F>
  void for_each_sample(int64_t n, int64_t at, F&& f) const {
    const double* place = grid.data() + (n * positions() + at) * axes;
    const int64_t extents[3] = {x.w, x.h, x.d};
    AxisSamples samples[3];
    for (int axis = 0; axis < 3; ++axis) {
      if (axis < axes)
        samples[axis] = samples_of(place[axis], extents[axis], attributes);
      else
        samples[axis].add(0, 1, 0);
    }
    for (int d = 0; d < samples[2].count; ++d)
      for (int h = 0; h < samples[1].count; ++h)
        for (int w = 0; w < samples[0].count; ++w) {
          const int64_t id = samples[2].at[d], ih = samples[1].at[h], iw = samples[0].at[w];
          if (id < 0 || ih < 0 || iw < 0) continue;
          const double wd = samples[2].weight[d], wh = samples[1].weight[h],
                       ww = samples[0].weight[w];
          const double slopes[3] = {samples[0].slope[w] * wh * wd, samples[1].slope[h] * ww * wd,
                                    samples[2].slope[d] * ww * wh};
          f((id * x.h + ih) * x.w + iw, wd * wh * ww, slopes);
        }
  }
};

void grid_forward(ExecContext& context, ops::GridSampleForwardArgs& args) {
  const GridProblem p(args.x, args.grid, args.y.shape(), args.attributes);
  visit_floating(args.x.dtype(), "grid_sample", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(p.y.n * p.positions(), [&](int64_t job) {
      const int64_t n = job / p.positions(), at = job % p.positions();
      for (int64_t c = 0; c < p.x.c; ++c) {
        const T* plane = x + (n * p.x.c + c) * p.plane();
        double sum = 0;
        p.for_each_sample(n, at, [&](int64_t i, double weight, const double*) {
          sum += weight * convert<double>(plane[i]);
        });
        y[(n * p.x.c + c) * p.positions() + at] = convert<T>(sum);
      }
    });
  });
}

void grid_backward(ExecContext&, ops::GridSampleBackwardArgs& args) {
  const GridProblem p(args.x, args.grid, args.dy.shape(), args.attributes);
  std::vector<double> dx(static_cast<size_t>(args.x.numel())), dgrid(p.grid.size());
  visit_floating(args.x.dtype(), "grid_sample", [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.x.data<T>(), *dy = args.dy.data<T>();
    for (int64_t n = 0; n < p.x.n; ++n)
      for (int64_t at = 0; at < p.positions(); ++at)
        for (int64_t c = 0; c < p.x.c; ++c) {
          const int64_t plane = (n * p.x.c + c) * p.plane();
          const double g = convert<double>(dy[(n * p.x.c + c) * p.positions() + at]);
          p.for_each_sample(n, at, [&](int64_t i, double weight, const double* slopes) {
            dx[static_cast<size_t>(plane + i)] += g * weight;
            for (int axis = 0; axis < p.axes; ++axis)
              dgrid[static_cast<size_t>((n * p.positions() + at) * p.axes + axis)] +=
                  g * slopes[axis] * convert<double>(x[plane + i]);
          });
        }
  });
  for (const auto& [values, to] : {std::pair(&dx, args.dx), std::pair(&dgrid, args.dgrid)}) {
    if (!to) continue;
    visit_floating(to->dtype(), "grid_sample", [&, sums = values, out = to](auto zero) {
      using T = decltype(zero);
      T* elements = out->template mutable_data<T>();
      for (size_t i = 0; i < sums->size(); ++i) elements[i] = convert<T>((*sums)[i]);
    });
  }
}

}  // namespace

void register_grid_sample(ops::SampleKernels& kernels) {
  kernels.grid_forward.add({"reference", takes_all, grid_forward});
  kernels.grid_backward.add({"reference", takes_all, grid_backward});
}

}  // namespace graft::reference
