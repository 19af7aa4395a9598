// Max, average and adaptive average pooling of images in channels_last; a thread has one group of channels of one pixel.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/pool_geometry.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class T, int M>
GRAFT_HD void add_group(float* sums, const Group<T, M>& v, float scale = 1.f) {
  for (int j = 0; j < M; ++j) sums[j] += to_float(v.v[j]) * scale;
}
template <class T, int M>
GRAFT_HD Group<T, M> to_group(const float* values) {
  Group<T, M> v;
  for (int j = 0; j < M; ++j) v.v[j] = from_float<T>(values[j]);
  return v;
}

template <class T, int N>
struct MaxForward {
  static constexpr const char* name = "max_pool forward";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  Span<int32_t> indices;  // or empty
  PoolGeometry shape;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t channel = i % shape.c;
    const auto out = shape.output(i / shape.c);
    float best[M] = {};
    int32_t where[M];
    for (int j = 0; j < M; ++j) where[j] = -1;
    for (int64_t a = 0; a < shape.r; ++a)
      for (int64_t b = 0; b < shape.s; ++b) {
        const int64_t row = shape.input_row(out.row, a), column = shape.input_column(out.column, b);
        if (row < 0 || row >= shape.h || column < 0 || column >= shape.w) continue;
        const Group<T, M> v = x.template load_group<M>(((out.image * shape.h + row) * shape.w + column) * shape.c + channel);
        for (int j = 0; j < M; ++j) {
          const float value = to_float(v.v[j]);
          if (where[j] >= 0 && !(value > best[j]) && value == value) continue;
          best[j] = value;
          where[j] = static_cast<int32_t>(row * shape.w + column);
        }
      }
    y.template store_group<M>(i, to_group<T, M>(best));
    if (indices)
      for (int j = 0; j < M; ++j) indices.store(i + j, where[j]);
  }
};

template <class T, int N>
struct MaxBackward {
  static constexpr const char* name = "max_pool backward";
  static constexpr int group = N;
  Span<const T> dy;
  Span<const int32_t> indices;
  Span<T> dx;
  PoolGeometry shape;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t channel = i % shape.c;
    const auto in = shape.input(i / shape.c);
    const auto here = static_cast<int32_t>(in.row * shape.w + in.column);
    float sums[M] = {};
    for (int64_t a = shape.r - 1; a >= 0; --a)
      for (int64_t b = shape.s - 1; b >= 0; --b) {  // windows in their own order
        const int64_t row = shape.output_row(in.row, a), column = shape.output_column(in.column, b);
        if (row < 0 || column < 0) continue;
        const int64_t from = ((in.image * shape.p + row) * shape.q + column) * shape.c + channel;
        const Group<T, M> g = dy.template load_group<M>(from);
        for (int j = 0; j < M; ++j)
          if (indices.load(from + j) == here) sums[j] += to_float(g.v[j]);
      }
    dx.template store_group<M>(i, to_group<T, M>(sums));
  }
};

template <class T, int N>
struct AverageForward {
  static constexpr const char* name = "average_pool forward";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  PoolGeometry shape;
  bool include_pad;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const auto out = shape.output(i / shape.c);
    float sums[M] = {};
    for (int64_t a = 0; a < shape.r; ++a)
      for (int64_t b = 0; b < shape.s; ++b) {
        const int64_t row = shape.input_row(out.row, a), column = shape.input_column(out.column, b);
        if (row < 0 || row >= shape.h || column < 0 || column >= shape.w) continue;
        add_group<T, M>(sums, x.template load_group<M>(((out.image * shape.h + row) * shape.w + column) * shape.c + i % shape.c));
      }
    const auto divisor = static_cast<float>(shape.divisor(out.row, out.column, include_pad));
    for (int j = 0; j < M; ++j) sums[j] /= divisor;
    y.template store_group<M>(i, to_group<T, M>(sums));
  }
};

template <class T, int N>
struct AverageBackward {
  static constexpr const char* name = "average_pool backward";
  static constexpr int group = N;
  Span<const T> dy;
  Span<T> dx;
  PoolGeometry shape;
  bool include_pad;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const auto in = shape.input(i / shape.c);
    float sums[M] = {};
    for (int64_t a = shape.r - 1; a >= 0; --a)
      for (int64_t b = shape.s - 1; b >= 0; --b) {
        const int64_t row = shape.output_row(in.row, a), column = shape.output_column(in.column, b);
        if (row < 0 || column < 0) continue;
        add_group<T, M>(sums, dy.template load_group<M>(((in.image * shape.p + row) * shape.q + column) * shape.c + i % shape.c),
                        1.f / static_cast<float>(shape.divisor(row, column, include_pad)));
      }
    dx.template store_group<M>(i, to_group<T, M>(sums));
  }
};

// Output 1 x 1 is global average pooling.
template <class T, int N>
struct AdaptiveForward {
  static constexpr const char* name = "adaptive_average_pool forward";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  AdaptiveAxis rows, columns;
  int64_t channels;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t pixel = i / channels, column = pixel % columns.out, row = pixel / columns.out % rows.out, image = pixel / columns.out / rows.out;
    float sums[M] = {};
    for (int64_t h = rows.begin(row); h < rows.end(row); ++h)
      for (int64_t w = columns.begin(column); w < columns.end(column); ++w)
        add_group<T, M>(sums, x.template load_group<M>(((image * rows.in + h) * columns.in + w) * channels + i % channels));
    const auto count = static_cast<float>(rows.width(row) * columns.width(column));
    for (int j = 0; j < M; ++j) sums[j] /= count;
    y.template store_group<M>(i, to_group<T, M>(sums));
  }
};

template <class T, int N>
struct AdaptiveBackward {
  static constexpr const char* name = "adaptive_average_pool backward";
  static constexpr int group = N;
  Span<const T> dy;
  Span<T> dx;
  AdaptiveAxis rows, columns;
  int64_t channels;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t pixel = i / channels, column = pixel % columns.in, row = pixel / columns.in % rows.in, image = pixel / columns.in / rows.in;
    float sums[M] = {};
    for (int64_t p = rows.first(row); p <= rows.last(row); ++p)
      for (int64_t q = columns.first(column); q <= columns.last(column); ++q)
        add_group<T, M>(sums, dy.template load_group<M>(((image * rows.out + p) * columns.out + q) * channels + i % channels),
                        1.f / static_cast<float>(rows.width(p) * columns.width(q)));
    dx.template store_group<M>(i, to_group<T, M>(sums));
  }
};

const char* declines_pair(const Tensor& x, const Tensor& y) {
  if (const char* reason = declines_image(x)) return reason;
  return y.format() == x.format() ? nullptr : "memory order is not channels_last";
}
bool grouped(const Tensor& x, const Tensor& y) { return is_aligned(x) && is_aligned(y) && x.size(1) % (16 / size_of(x.dtype())) == 0; }

// Calls f(T{}, N) for a pair of images.
template <class F>
void visit_pair(const Tensor& x, const Tensor& y, F&& f) {
  visit_kernel_dtype(x.dtype(), [&](auto zero) { visit_group<decltype(zero)>(grouped(x, y), [&](auto n) { f(zero, n); }); });
}

void max_forward(ExecContext&, ops::MaxPoolForwardArgs& args) {
  visit_pair(args.x, args.y, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.y.numel(),
               MaxForward<T, n()>{span<T>(args.x), mutable_span<T>(args.y), mutable_span<int32_t>(args.indices),
                                  PoolGeometry::of(args.x.shape(), args.y.shape(), args.attributes.window)});
  });
}
void max_backward(ExecContext&, ops::MaxPoolBackwardArgs& args) {
  visit_pair(args.dx, args.dy, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.dx), args.dx.numel(),
               MaxBackward<T, n()>{span<T>(args.dy), span<int32_t>(args.indices), mutable_span<T>(args.dx),
                                   PoolGeometry::of(args.dx.shape(), args.dy.shape(), args.attributes.window)});
  });
}
void average_forward(ExecContext&, ops::AveragePoolForwardArgs& args) {
  visit_pair(args.x, args.y, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.y.numel(),
               AverageForward<T, n()>{span<T>(args.x), mutable_span<T>(args.y), PoolGeometry::of(args.x.shape(), args.y.shape(), args.attributes.window),
                                      args.attributes.count_include_pad});
  });
}
void average_backward(ExecContext&, ops::AveragePoolBackwardArgs& args) {
  visit_pair(args.dx, args.dy, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.dx), args.dx.numel(),
               AverageBackward<T, n()>{span<T>(args.dy), mutable_span<T>(args.dx),
                                       PoolGeometry::of(args.dx.shape(), args.dy.shape(), args.attributes.window), args.attributes.count_include_pad});
  });
}
void adaptive_forward(ExecContext&, ops::AdaptiveAveragePoolForwardArgs& args) {
  const AdaptiveAxis rows{args.x.size(2), args.y.size(2)}, columns{args.x.size(3), args.y.size(3)};
  visit_pair(args.x, args.y, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.y.numel(), AdaptiveForward<T, n()>{span<T>(args.x), mutable_span<T>(args.y), rows, columns, args.x.size(1)});
  });
}
void adaptive_backward(ExecContext&, ops::AdaptiveAveragePoolBackwardArgs& args) {
  const AdaptiveAxis rows{args.dx.size(2), args.dy.size(2)}, columns{args.dx.size(3), args.dy.size(3)};
  visit_pair(args.dx, args.dy, [&](auto zero, auto n) {
    using T = decltype(zero);
    launch_map(device_of(args.dx), args.dx.numel(), AdaptiveBackward<T, n()>{span<T>(args.dy), mutable_span<T>(args.dx), rows, columns, args.dx.size(1)});
  });
}

template <class Args>
const char* declines_forward(const ExecContext&, const Args& args) { return declines_pair(args.x, args.y); }
template <class Args>
const char* declines_backward(const ExecContext&, const Args& args) { return declines_pair(args.dx, args.dy); }

}  // namespace

void register_pool(KernelSet& set) {
  set.pool.max_forward.add({"cuda", declines_forward<ops::MaxPoolForwardArgs>, max_forward});
  set.pool.max_backward.add({"cuda", declines_backward<ops::MaxPoolBackwardArgs>, max_backward});
  set.pool.average_forward.add({"cuda", declines_forward<ops::AveragePoolForwardArgs>, average_forward});
  set.pool.average_backward.add({"cuda", declines_backward<ops::AveragePoolBackwardArgs>, average_backward});
  set.pool.adaptive_forward.add({"cuda", declines_forward<ops::AdaptiveAveragePoolForwardArgs>, adaptive_forward});
  set.pool.adaptive_backward.add({"cuda", declines_backward<ops::AdaptiveAveragePoolBackwardArgs>, adaptive_backward});
}

}  // namespace graft::cuda
