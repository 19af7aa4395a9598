// roi_align: bilinear samples on a regular grid in each cell of a box.
#include <algorithm>
#include <cmath>

#include "graft/kernels/ops/sample.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

struct Corner {
  int64_t at;  // in the plane
  double weight;
};

// The four corners of a sample; none outside of the image by more than a cell.
void add_corners(double y, double x, int64_t height, int64_t width, std::vector<Corner>& corners) {
  if (!(y >= -1 && y <= static_cast<double>(height) && x >= -1 &&
        x <= static_cast<double>(width))) {
    corners.insert(corners.end(), 4, Corner{0, 0});
    return;
  }
  const auto split = [](double u, int64_t extent, int64_t& low, int64_t& high) {
    low = std::min(static_cast<int64_t>(std::max(u, 0.0)), extent - 1);
    high = std::min(low + 1, extent - 1);
    return low == extent - 1 ? 0.0 : std::max(u, 0.0) - static_cast<double>(low);
  };
  int64_t top, bottom, left, right;
  const double fy = split(y, height, top, bottom), fx = split(x, width, left, right);
  corners.push_back({top * width + left, (1 - fy) * (1 - fx)});
  corners.push_back({top * width + right, (1 - fy) * fx});
  corners.push_back({bottom * width + left, fy * (1 - fx)});
  corners.push_back({bottom * width + right, fy * fx});
}

// The corners of all samples of every output cell of one box, cell after cell.
struct BoxSamples {
  std::vector<Corner> corners;
  int64_t of_cell;  // corners
  double samples;   // of a cell, at least 1

  BoxSamples(const double* box, const Shape& image, const ops::RoiAlignAttributes& a) {
    const double shift = a.half_pixel ? 0.5 : 0;
    const double x1 = box[0] * a.spatial_scale - shift, y1 = box[1] * a.spatial_scale - shift;
    double width = box[2] * a.spatial_scale - shift - x1,
           height = box[3] * a.spatial_scale - shift - y1;
    if (!a.half_pixel) width = std::max(width, 1.0), height = std::max(height, 1.0);
    const double cell_h = height / static_cast<double>(a.height),
                 cell_w = width / static_cast<double>(a.width);
    GRAFT_CHECK(std::abs(cell_h) < 4096 && std::abs(cell_w) < 4096 && a.sampling_ratio <= 4096,
                "roi_align: a box of ", height, " by ", width, " cells is too large");
    const int64_t rows = a.sampling_ratio > 0
                             ? a.sampling_ratio
                             : std::max<int64_t>(0, static_cast<int64_t>(std::ceil(cell_h)));
    const int64_t columns = a.sampling_ratio > 0
                                ? a.sampling_ratio
                                : std::max<int64_t>(0, static_cast<int64_t>(std::ceil(cell_w)));
    of_cell = rows * columns * 4;
    GRAFT_CHECK(checked_mul(checked_mul(a.height, a.width), of_cell) <= int64_t{1} << 28,
                "roi_align: ", a.height, " by ", a.width, " cells of ", rows, " by ", columns,
                " samples are too many");
    samples = static_cast<double>(std::max<int64_t>(1, rows * columns));
    for (int64_t p = 0; p < a.height; ++p)
      for (int64_t q = 0; q < a.width; ++q)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t s = 0; s < columns; ++s)
            add_corners(y1 + static_cast<double>(p) * cell_h +
                            (static_cast<double>(r) + 0.5) * cell_h / static_cast<double>(rows),
                        x1 + static_cast<double>(q) * cell_w +
                            (static_cast<double>(s) + 0.5) * cell_w / static_cast<double>(columns),
                        image[2], image[3], corners);
  }

  // f(corner) for the corners of a cell.
  template <class F>
  void for_each(int64_t cell, F&& f) const {
    for (int64_t i = cell * of_cell; i < (cell + 1) * of_cell; ++i)
      f(corners[static_cast<size_t>(i)]);
  }
};

// The corner whose weighted value is the largest of a cell; null without samples.
template <class T>
const Corner* largest_corner(const BoxSamples& samples, int64_t cell, const T* plane) {
  const Corner* best = nullptr;
  samples.for_each(cell, [&](const Corner& corner) {
    if (!best || corner.weight * convert<double>(plane[corner.at]) >
                     best->weight * convert<double>(plane[best->at]))
      best = &corner;
  });
  return best;
}

void roi_forward(ExecContext& context, ops::RoiAlignForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Shape& image = args.x.shape();
  const std::vector<double> boxes = args.boxes.to_doubles();
  const int64_t* batch = args.batch.data<int64_t>();
  const int64_t channels = image[1], plane = image[2] * image[3],
                cells = args.attributes.height * args.attributes.width;
  visit_floating(args.x.dtype(), "roi_align", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(args.boxes.shape()[0], [&](int64_t r) {
      const BoxSamples samples(boxes.data() + r * 4, image, args.attributes);
      for (int64_t c = 0; c < channels; ++c) {
        const T* from = x + (batch[r] * channels + c) * plane;
        for (int64_t cell = 0; cell < cells; ++cell) {
          double value = 0;
          if (args.attributes.max) {
            if (const Corner* best = largest_corner(samples, cell, from))
              value = best->weight * convert<double>(from[best->at]);
          } else {
            samples.for_each(cell, [&](const Corner& corner) {
              value += corner.weight * convert<double>(from[corner.at]);
            });
            value /= samples.samples;
          }
          y[(r * channels + c) * cells + cell] = convert<T>(value);
        }
      }
    });
  });
}

void roi_backward(ExecContext&, ops::RoiAlignBackwardArgs& args) {
  const Shape& image = args.x.shape();
  const std::vector<double> boxes = args.boxes.to_doubles();
  const int64_t* batch = args.batch.data<int64_t>();
  const int64_t channels = image[1], plane = image[2] * image[3],
                cells = args.attributes.height * args.attributes.width;
  visit_floating(args.x.dtype(), "roi_align", [&](auto zero) {
    using T = decltype(zero);
    if (args.dy.numel() == 0)
      return std::fill(args.dx.mutable_data<T>(), args.dx.mutable_data<T>() + args.dx.numel(),
                       zero);
    const T *x = args.x.data<T>(), *dy = args.dy.data<T>();
    std::vector<double> sums(static_cast<size_t>(args.x.numel()));
    for (int64_t r = 0; r < args.boxes.shape()[0]; ++r) {
      const BoxSamples samples(boxes.data() + r * 4, image, args.attributes);
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t base = (batch[r] * channels + c) * plane;
        for (int64_t cell = 0; cell < cells; ++cell) {
          const double g = convert<double>(dy[(r * channels + c) * cells + cell]);
          const auto give = [&](const Corner& corner, double share) {
            sums[static_cast<size_t>(base + corner.at)] += share * corner.weight;
          };
          if (!args.attributes.max)
            samples.for_each(cell,
                             [&](const Corner& corner) { give(corner, g / samples.samples); });
          else if (const Corner* best = largest_corner(samples, cell, x + base))
            give(*best, g);
        }
      }
    }
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

}  // namespace

void register_roi_align(ops::SampleKernels& kernels) {
  kernels.roi_forward.add({"reference", takes_all, roi_forward});
  kernels.roi_backward.add({"reference", takes_all, roi_backward});
}

}  // namespace graft::reference
