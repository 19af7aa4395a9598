// roi_align: a cell of a box and channel a thread. The mean's gradient is gathered: weights fall
// apart into rows and columns, so that a pixel looks at the few cells of each box that reach it.
// The maximum's is sorted by pixel.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/box_cells.h"
#include "graft/kernels/cuda/custom/sorted_targets.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class T>
struct RoiProblem {
  Span<const T> x;
  Span<const float> boxes;
  Span<const int64_t> batch;
  int64_t images, channels, height, width, rois;
  ops::RoiAlignAttributes attributes;

  GRAFT_HD int64_t cells() const { return attributes.height * attributes.width; }
  GRAFT_HD bool is_image(int64_t n) const { return n >= 0 && n < images; }
  GRAFT_HD BoxCells rows(int64_t roi) const { return side(roi, 1, attributes.height, height); }
  GRAFT_HD BoxCells columns(int64_t roi) const { return side(roi, 0, attributes.width, width); }
  GRAFT_HD BoxCells side(int64_t roi, int first, int64_t count, int64_t extent) const {
    return BoxCells::of(boxes.load(roi * 4 + first), boxes.load(roi * 4 + first + 2), count, extent,
                        attributes);
  }

  // The corner whose weighted value is the largest of a cell: its pixel (-1: no samples), its
  // weight and value.
  GRAFT_HD int64_t largest(const BoxCells& rows, const BoxCells& columns, int64_t cell,
                           int64_t plane, float& weight) const {
    int64_t best = -1;
    float most = 0;
    for (int64_t r = 0; r < rows.samples; ++r)
      for (int64_t s = 0; s < columns.samples; ++s) {
        const CellSample v = rows.sample(cell / attributes.width, r),
                         h = columns.sample(cell % attributes.width, s);
        for (int k = 0; k < 4; ++k) {
          const bool inside = v.inside && h.inside;
          const int64_t at =
              inside ? (k < 2 ? v.low : v.high) * width + (k % 2 == 0 ? h.low : h.high) : 0;
          const float w = inside ? (k < 2 ? 1 - v.fraction : v.fraction) *
                                       (k % 2 == 0 ? 1 - h.fraction : h.fraction)
                                 : 0.f;
          const float value = w * to_float(x.load(plane * height * width + at));
          if (best < 0 || value > most) best = at, most = value, weight = w;
        }
      }
    return best;
  }

  // boxes: f32.
  static RoiProblem of(const Tensor& x, const Tensor& boxes, const Tensor& batch,
                       const ops::RoiAlignAttributes& attributes) {
    return {span<T>(x), span<float>(boxes), span<int64_t>(batch), x.size(0), x.size(1),
            x.size(2),  x.size(3),          boxes.size(0),        attributes};
  }
};

template <class T>
struct RoiForward {
  static constexpr const char* name = "roi_align forward";
  static constexpr int group = 1;
  RoiProblem<T> p;
  Span<T> y;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t cell = i % p.cells(), roi = i / p.cells() / p.channels, image = p.batch.load(roi);
    const BoxCells rows = p.rows(roi), columns = p.columns(roi);
    if (!p.is_image(image) || !rows.sane || !columns.sane) return y.store(i, from_float<T>(NAN));
    const int64_t plane = image * p.channels + i / p.cells() % p.channels,
                  base = plane * p.height * p.width;
    float weight = 0;
    if (p.attributes.max) {
      const int64_t best = p.largest(rows, columns, cell, plane, weight);
      return y.store(i, from_float<T>(best < 0 ? 0.f : weight * to_float(p.x.load(base + best))));
    }
    float sum = 0;
    for (int64_t r = 0; r < rows.samples; ++r) {
      const CellSample v = rows.sample(cell / p.attributes.width, r);
      for (int64_t s = 0; s < columns.samples && v.inside; ++s) {
        const CellSample h = columns.sample(cell % p.attributes.width, s);
        if (!h.inside) continue;
        const auto pixel = [&](int64_t row, int64_t column) {
          return to_float(p.x.load(base + row * p.width + column));
        };
        sum += (1 - v.fraction) *
                   ((1 - h.fraction) * pixel(v.low, h.low) + h.fraction * pixel(v.low, h.high)) +
               v.fraction *
                   ((1 - h.fraction) * pixel(v.high, h.low) + h.fraction * pixel(v.high, h.high));
      }
    }
    const int64_t samples = rows.samples * columns.samples;
    y.store(i, from_float<T>(sum / static_cast<float>(samples > 1 ? samples : 1)));
  }
};

template <class T>
struct RoiBackward {
  static constexpr const char* name = "roi_align backward";
  static constexpr int group = 1;
  RoiProblem<T> p;
  Span<const T> dy;
  Span<T> dx;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t column = i % p.width, row = i / p.width % p.height,
                  plane = i / p.width / p.height;
    float sum = 0;
    for (int64_t roi = 0; roi < p.rois; ++roi) {
      if (p.batch.load(roi) != plane / p.channels) continue;
      const BoxCells rows = p.rows(roi), columns = p.columns(roi);
      if (!rows.sane || !columns.sane || !rows.reaches(row) || !columns.reaches(column)) continue;
      const int64_t samples = rows.samples * columns.samples;
      float of_box = 0;
      for (int64_t cell_row = 0; cell_row < p.attributes.height; ++cell_row) {
        const float down = rows.weight(cell_row, row);
        for (int64_t cell_column = 0; cell_column < p.attributes.width && down != 0;
             ++cell_column) {
          const float across = columns.weight(cell_column, column);
          if (across != 0)
            of_box += down * across *
                      to_float(dy.load((roi * p.channels + plane % p.channels) * p.cells() +
                                       cell_row * p.attributes.width + cell_column));
        }
      }
      sum += of_box / static_cast<float>(samples > 1 ? samples : 1);
    }
    dx.store(i, from_float<T>(sum));
  }
};

// An entry is an output element; its target the pixel of x that it was.
template <class T>
struct LargestTarget {
  RoiProblem<T> p;
  GRAFT_HD int64_t target(int64_t i) const {
    float weight = 0;
    return find(i, weight);
  }
  GRAFT_HD int64_t find(int64_t i, float& weight) const {
    const int64_t roi = i / p.cells() / p.channels, image = p.batch.load(roi),
                  plane = image * p.channels + i / p.cells() % p.channels;
    const BoxCells rows = p.rows(roi), columns = p.columns(roi);
    if (!p.is_image(image) || !rows.sane || !columns.sane) return kNoTarget;
    const int64_t at = p.largest(rows, columns, i % p.cells(), plane, weight);
    return at < 0 ? kNoTarget : plane * p.height * p.width + at;
  }
};
template <class T>
struct LargestGradient {
  static constexpr const char* name = "roi_align backward, maxima";
  static constexpr int group = 1;
  LargestTarget<T> from;
  Span<const T> dy;
  Span<T> dx;
  Targets targets;
  template <int M>
  GRAFT_HD void at(int64_t first) const {
    const int64_t target = targets.run_at(first);
    if (target < 0) return;
    float sum = 0, weight = 0;
    for (int64_t q = first; targets.goes_on(q, target); ++q) {
      const int64_t entry = targets.entries.load(q);
      from.find(entry, weight);
      sum += weight * to_float(dy.load(entry));
    }
    dx.store(target, from_float<T>(sum));
  }
};

template <class Args>
const char* declines(const ExecContext&, const Args& args) {
  const bool together =
      args.boxes.device() == args.x.device() && args.batch.device() == args.x.device();
  return together ? declines_dtype(args.x) : "boxes or images are on another device";
}

void forward(ExecContext&, ops::RoiAlignForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Tensor boxes = args.boxes.to(DType::f32);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.y.numel(),
               RoiForward<T>{RoiProblem<T>::of(args.x, boxes, args.batch, args.attributes),
                             mutable_span<T>(args.y)});
  });
}

void backward(ExecContext&, ops::RoiAlignBackwardArgs& args) {
  const gpu::OperationName operation("roi_align backward");
  if (args.dx.numel() == 0) return;
  gpu::Device& device = device_of(args.x);
  device.set_bytes(args.dx.mutable_raw(), 0, args.dx.bytes());
  if (args.dy.numel() == 0) return;
  const Tensor boxes = args.boxes.to(DType::f32);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto p = RoiProblem<T>::of(args.x, boxes, args.batch, args.attributes);
    if (!args.attributes.max)
      return launch_map(device, args.dx.numel(),
                        RoiBackward<T>{p, span<T>(args.dy), mutable_span<T>(args.dx)});
    const SortedTargets sorted =
        sort_by_target(args.x.device(), args.dy.numel(), LargestTarget<T>{p});
    launch_map(device, sorted.count,
               LargestGradient<T>{{p}, span<T>(args.dy), mutable_span<T>(args.dx), sorted.view()});
  });
}

}  // namespace

void register_roi_align(KernelSet& set) {
  set.sample.roi_forward.add({"cuda", declines<ops::RoiAlignForwardArgs>, forward});
  set.sample.roi_backward.add({"cuda", declines<ops::RoiAlignBackwardArgs>, backward});
}

}  // namespace graft::cuda
