// Max, average and adaptive average pooling of channels_last images: a window is a list of input
// pixels, and the loops run along the channels.
#include "graft/kernels/ops/pool.h"

#include <algorithm>
#include <vector>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

// The input pixels under an output pixel, and what their sum is divided by.
struct Cells {
  std::vector<int32_t> positions;  // h * W + w
  int64_t divisor = 1;
};

// The window of each output pixel of one plane; samples share them.
struct Plane {
  int64_t n, c, h, w, p, q;
  std::vector<Cells> cells;  // [p][q]
  int64_t in_plane() const { return h * w * c; }
  int64_t out_plane() const { return p * q * c; }
};

Plane plane_of(const Shape& x, const Shape& y) {
  return {x[0], x[1], x[2], x[3], y[2], y[3], std::vector<Cells>(static_cast<size_t>(y[2] * y[3]))};
}

struct Range {
  std::vector<int64_t> inside;  // input coordinates
  int64_t counted = 0;          // positions that a divisor with padding counts
};

Range window_range(const ops::Window& window, size_t axis, int64_t in, int64_t out) {
  Range range;
  for (int64_t k = 0; k < window.kernel[axis]; ++k) {
    const int64_t at =
        out * window.stride[axis] + k * window.dilation[axis] - window.pad_begin[axis];
    if (at >= 0 && at < in) range.inside.push_back(at);
    range.counted += at < in + window.pad_end[axis];
  }
  return range;
}

void set_cells(Plane& plane, int64_t i, int64_t j, const std::vector<int64_t>& rows,
               const std::vector<int64_t>& columns, int64_t divisor) {
  Cells& cells = plane.cells[static_cast<size_t>(i * plane.q + j)];
  for (const int64_t h : rows)
    for (const int64_t w : columns)
      cells.positions.push_back(static_cast<int32_t>(h * plane.w + w));
  cells.divisor = std::max<int64_t>(1, divisor);
}

Plane window_plane(const Shape& x, const Shape& y, const ops::Window& window,
                   bool count_include_pad) {
  Plane plane = plane_of(x, y);
  std::vector<Range> columns;
  for (int64_t j = 0; j < plane.q; ++j) columns.push_back(window_range(window, 1, plane.w, j));
  for (int64_t i = 0; i < plane.p; ++i) {
    const Range rows = window_range(window, 0, plane.h, i);
    for (int64_t j = 0; j < plane.q; ++j) {
      const Range& column = columns[static_cast<size_t>(j)];
      const auto inside = static_cast<int64_t>(rows.inside.size() * column.inside.size());
      set_cells(plane, i, j, rows.inside, column.inside,
                count_include_pad ? rows.counted * column.counted : inside);
    }
  }
  return plane;
}

std::vector<int64_t> adaptive_range(int64_t in, int64_t out, int64_t at) {
  std::vector<int64_t> range;
  for (int64_t i = at * in / out; i < ceil_div((at + 1) * in, out); ++i) range.push_back(i);
  return range;
}

Plane adaptive_plane(const Shape& x, const Shape& y) {
  Plane plane = plane_of(x, y);
  for (int64_t i = 0; i < plane.p; ++i)
    for (int64_t j = 0; j < plane.q; ++j) {
      const auto rows = adaptive_range(plane.h, plane.p, i),
                 columns = adaptive_range(plane.w, plane.q, j);
      set_cells(plane, i, j, rows, columns, static_cast<int64_t>(rows.size() * columns.size()));
    }
  return plane;
}

constexpr int64_t kChannels = 256;  // of a job: an image alone still has several

// Calls f(sample, first output pixel, end, first channel, channels) in parallel, over all outputs.
template <class F>
void for_outputs(ExecContext& context, const Plane& plane, F&& f) {
  const int64_t channel_blocks = ceil_div(plane.c, kChannels), rows = plane.p;
  context.parallel_for(plane.n * rows * channel_blocks, [&](int64_t job) {
    const int64_t block = job % channel_blocks, row = job / channel_blocks % rows,
                  n = job / channel_blocks / rows;
    f(n, row * plane.q, (row + 1) * plane.q, block * kChannels,
      std::min(kChannels, plane.c - block * kChannels));
  });
}

// Calls f(sample, first input pixel, end, first channel, channels) in parallel, over all inputs: a
// gradient is written once, from the windows that cover it.
template <class F>
void for_inputs(ExecContext& context, const Plane& plane, F&& f) {
  const int64_t channel_blocks = ceil_div(plane.c, kChannels), rows = plane.h;
  context.parallel_for(plane.n * rows * channel_blocks, [&](int64_t job) {
    const int64_t block = job % channel_blocks, row = job / channel_blocks % rows,
                  n = job / channel_blocks / rows;
    f(n, row * plane.w, (row + 1) * plane.w, block * kChannels,
      std::min(kChannels, plane.c - block * kChannels));
  });
}

// [h][w]: the output pixels whose windows cover an input pixel, in order.
std::vector<std::vector<int32_t>> covering_windows(const Plane& plane) {
  std::vector<std::vector<int32_t>> outputs(static_cast<size_t>(plane.h * plane.w));
  for (int64_t o = 0; o < plane.p * plane.q; ++o)
    for (const int32_t position : plane.cells[static_cast<size_t>(o)].positions)
      outputs[static_cast<size_t>(position)].push_back(static_cast<int32_t>(o));
  return outputs;
}

template <class T>
void point_at(const Cells& cells, const T* first, int64_t c, std::vector<const T*>& rows) {
  rows.clear();
  for (const int32_t position : cells.positions) rows.push_back(first + position * c);
}

template <class T>
void average(ExecContext& context, const Plane& plane, const T* x, T* y) {
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  for_outputs(context, plane,
              [&](int64_t n, int64_t begin, int64_t end, int64_t channel, int64_t channels) {
                std::vector<const T*> rows;
                for (int64_t o = begin; o < end; ++o) {
                  const Cells& cells = plane.cells[static_cast<size_t>(o)];
                  point_at(cells, x + n * plane.in_plane() + channel, plane.c, rows);
                  kernels.mean_rows(rows.data(), static_cast<int64_t>(rows.size()), channels,
                                    static_cast<typename ParameterOf<T>::type>(cells.divisor),
                                    y + n * plane.out_plane() + o * plane.c + channel);
                }
              });
}

template <class T>
void average_gradient(ExecContext& context, const Plane& plane, const T* dy, T* dx) {
  using P = typename ParameterOf<T>::type;
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const auto windows = covering_windows(plane);
  for_inputs(context, plane,
             [&](int64_t n, int64_t begin, int64_t end, int64_t channel, int64_t channels) {
               std::vector<const T*> rows;
               std::vector<P> divisors;
               for (int64_t i = begin; i < end; ++i) {
                 rows.clear(), divisors.clear();
                 for (const int32_t o : windows[static_cast<size_t>(i)]) {
                   rows.push_back(dy + n * plane.out_plane() + o * plane.c + channel);
                   divisors.push_back(static_cast<P>(plane.cells[static_cast<size_t>(o)].divisor));
                 }
                 kernels.mean_gradient(rows.data(), divisors.data(), std::ssize(rows), channels,
                                       dx + n * plane.in_plane() + i * plane.c + channel);
               }
             });
}

const char* declines_image(const Tensor& x, const Tensor& y) {
  if (x.rank() != 4) return "only two spatial axes";
  if (!is_image_dtype(x.dtype()) || y.dtype() != x.dtype()) return "only f32, f64 and bf16";
  if (!is_nhwc(x) || !is_nhwc(y)) return "memory order is not channels_last";
  return nullptr;
}

const char* declines_max_forward(const ExecContext&, const ops::MaxPoolForwardArgs& args) {
  return declines_image(args.x, args.y);
}
void max_forward(ExecContext& context, ops::MaxPoolForwardArgs& args) {
  const Plane plane = window_plane(args.x.shape(), args.y.shape(), args.attributes.window, true);
  int32_t* indices = args.indices ? args.indices->mutable_data<int32_t>() : nullptr;
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
    const T* x = image_data<T>(args.x);
    T* y = mutable_image_data<T>(args.y);
    for_outputs(context, plane,
                [&](int64_t n, int64_t begin, int64_t end, int64_t channel, int64_t channels) {
                  std::vector<const T*> rows;
                  for (int64_t o = begin; o < end; ++o) {
                    const Cells& cells = plane.cells[static_cast<size_t>(o)];
                    point_at(cells, x + n * plane.in_plane() + channel, plane.c, rows);
                    const int64_t at = n * plane.out_plane() + o * plane.c + channel;
                    kernels.max_rows(rows.data(), cells.positions.data(),
                                     static_cast<int64_t>(rows.size()), channels, y + at,
                                     indices ? indices + at : nullptr);
                  }
                });
  });
}

const char* declines_max_backward(const ExecContext&, const ops::MaxPoolBackwardArgs& args) {
  if (!is_nhwc(args.indices)) return "memory order of the indices is not channels_last";
  return declines_image(args.dx, args.dy);
}
void max_backward(ExecContext& context, ops::MaxPoolBackwardArgs& args) {
  const Plane plane = window_plane(args.dx.shape(), args.dy.shape(), args.attributes.window, true);
  const auto windows = covering_windows(plane);
  const auto* indices = args.indices.data<int32_t>();
  visit_image_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
    const T* dy = image_data<T>(args.dy);
    T* dx = mutable_image_data<T>(args.dx);
    for_inputs(context, plane,
               [&](int64_t n, int64_t begin, int64_t end, int64_t channel, int64_t channels) {
                 std::vector<const T*> rows;
                 std::vector<const int32_t*> where;
                 for (int64_t i = begin; i < end; ++i) {
                   rows.clear(), where.clear();
                   for (const int32_t o : windows[static_cast<size_t>(i)]) {
                     const int64_t at = n * plane.out_plane() + o * plane.c + channel;
                     rows.push_back(dy + at), where.push_back(indices + at);
                   }
                   kernels.max_gradient(rows.data(), where.data(), std::ssize(rows),
                                        static_cast<int32_t>(i), channels,
                                        dx + n * plane.in_plane() + i * plane.c + channel);
                 }
               });
  });
}

const char* declines_average_forward(const ExecContext&, const ops::AveragePoolForwardArgs& args) {
  return declines_image(args.x, args.y);
}
void average_forward(ExecContext& context, ops::AveragePoolForwardArgs& args) {
  const Plane plane = window_plane(args.x.shape(), args.y.shape(), args.attributes.window,
                                   args.attributes.count_include_pad);
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    average<T>(context, plane, image_data<T>(args.x), mutable_image_data<T>(args.y));
  });
}

const char* declines_average_backward(const ExecContext&,
                                      const ops::AveragePoolBackwardArgs& args) {
  return declines_image(args.dx, args.dy);
}
void average_backward(ExecContext& context, ops::AveragePoolBackwardArgs& args) {
  const Plane plane = window_plane(args.dx.shape(), args.dy.shape(), args.attributes.window,
                                   args.attributes.count_include_pad);
  visit_image_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    average_gradient<T>(context, plane, image_data<T>(args.dy), mutable_image_data<T>(args.dx));
  });
}

const char* declines_adaptive_forward(const ExecContext&,
                                      const ops::AdaptiveAveragePoolForwardArgs& args) {
  return declines_image(args.x, args.y);
}
void adaptive_forward(ExecContext& context, ops::AdaptiveAveragePoolForwardArgs& args) {
  const Plane plane = adaptive_plane(args.x.shape(), args.y.shape());
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    average<T>(context, plane, image_data<T>(args.x), mutable_image_data<T>(args.y));
  });
}

const char* declines_adaptive_backward(const ExecContext&,
                                       const ops::AdaptiveAveragePoolBackwardArgs& args) {
  return declines_image(args.dx, args.dy);
}
void adaptive_backward(ExecContext& context, ops::AdaptiveAveragePoolBackwardArgs& args) {
  const Plane plane = adaptive_plane(args.dx.shape(), args.dy.shape());
  visit_image_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    average_gradient<T>(context, plane, image_data<T>(args.dy), mutable_image_data<T>(args.dx));
  });
}

}  // namespace

void register_pool(ops::PoolKernels& kernels) {
  kernels.max_forward.add({"cpu_nhwc", declines_max_forward, max_forward});
  kernels.max_backward.add({"cpu_nhwc", declines_max_backward, max_backward});
  kernels.average_forward.add({"cpu_nhwc", declines_average_forward, average_forward});
  kernels.average_backward.add({"cpu_nhwc", declines_average_backward, average_backward});
  kernels.adaptive_forward.add({"cpu_nhwc", declines_adaptive_forward, adaptive_forward});
  kernels.adaptive_backward.add({"cpu_nhwc", declines_adaptive_backward, adaptive_backward});
}

}  // namespace graft::cpu
