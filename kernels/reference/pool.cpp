// Pooling by its definition over up to three spatial axes.
#include "graft/kernels/ops/pool.h"

#include <algorithm>
#include <cstring>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// Window numbers right-aligned to three axes, like extents5.
struct Window3 {
  std::array<int64_t, 3> kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0},
      pad_end{0, 0, 0};
  explicit Window3(const ops::Window& w) {
    const auto axes = static_cast<size_t>(w.axes);
    for (size_t i = 0; i < axes; ++i) {
      const size_t to = 3 - axes + i;
      kernel[to] = w.kernel[i], stride[to] = w.stride[i], dilation[to] = w.dilation[i];
      pad[to] = w.pad_begin[i], pad_end[to] = w.pad_end[i];
    }
  }
};

template <class F>
void for_each_output(const Extents5& y, F&& f) {
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t c = 0; c < y.c; ++c)
      for (int64_t d = 0; d < y.d; ++d)
        for (int64_t h = 0; h < y.h; ++h)
          for (int64_t w = 0; w < y.w; ++w) f(n, c, d, h, w);
}

// Calls f(id, ih, iw) for the window positions of an output that lie inside the input.
template <class F>
void for_window(const Window3& win, const Extents5& x, int64_t d, int64_t h, int64_t w, F&& f) {
  for (int64_t a = 0; a < win.kernel[0]; ++a)
    for (int64_t b = 0; b < win.kernel[1]; ++b)
      for (int64_t c = 0; c < win.kernel[2]; ++c) {
        const int64_t id = d * win.stride[0] + a * win.dilation[0] - win.pad[0];
        const int64_t ih = h * win.stride[1] + b * win.dilation[1] - win.pad[1];
        const int64_t iw = w * win.stride[2] + c * win.dilation[2] - win.pad[2];
        if (id >= 0 && id < x.d && ih >= 0 && ih < x.h && iw >= 0 && iw < x.w) f(id, ih, iw);
      }
}

void max_forward(ExecContext&, ops::MaxPoolForwardArgs& args) {
  const Extents5 xe = extents5(args.x.shape()), ye = extents5(args.y.shape());
  const Strides5 xs = strides5(args.x), ys = strides5(args.y);
  const Window3 win(args.attributes.window);
  int32_t* indices = args.indices ? args.indices->mutable_data<int32_t>() : nullptr;
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      T best{};
      int32_t where = -1;
      for_window(win, xe, d, h, w, [&](int64_t id, int64_t ih, int64_t iw) {
        const T value = x[xs(n, c, id, ih, iw)];
        const A wide = convert<A>(value);
        if (where < 0 || wide > convert<A>(best) || wide != wide) {
          best = value;
          where = static_cast<int32_t>((id * xe.h + ih) * xe.w + iw);
        }
      });
      const int64_t at = ys(n, c, d, h, w);
      y[at] = best;
      if (indices) indices[at] = where;
    });
  });
}

void max_backward(ExecContext&, ops::MaxPoolBackwardArgs& args) {
  const Extents5 xe = extents5(args.dx.shape()), ye = extents5(args.dy.shape());
  const Strides5 xs = strides5(args.dx), ys = strides5(args.dy);
  const auto* indices = args.indices.data<int32_t>();
  visit_floating(args.dx.dtype(), "max_pool", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* dy = args.dy.data<T>();
    std::vector<A> sums(static_cast<size_t>(args.dx.numel()));
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      const int64_t at = ys(n, c, d, h, w);
      const int64_t i = indices[at];
      if (i >= 0)
        sums[static_cast<size_t>(xs(n, c, i / (xe.h * xe.w), i / xe.w % xe.h, i % xe.w))] +=
            convert<A>(dy[at]);
    });
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

// How many positions the divisor counts for an output.
int64_t divisor(const Window3& win, const Extents5& x, bool include_pad, int64_t d, int64_t h,
                int64_t w) {
  const std::array<int64_t, 3> out{d, h, w}, in{x.d, x.h, x.w};
  int64_t count = 1;
  for (size_t axis = 0; axis < 3; ++axis) {
    int64_t inside = 0;
    for (int64_t k = 0; k < win.kernel[axis]; ++k) {
      const int64_t at = out[axis] * win.stride[axis] + k * win.dilation[axis] - win.pad[axis];
      inside += include_pad ? at < in[axis] + win.pad_end[axis] : at >= 0 && at < in[axis];
    }
    count *= inside;
  }
  return std::max<int64_t>(count, 1);
}

void average_forward(ExecContext&, ops::AveragePoolForwardArgs& args) {
  const Extents5 xe = extents5(args.x.shape()), ye = extents5(args.y.shape());
  const Strides5 xs = strides5(args.x), ys = strides5(args.y);
  const Window3 win(args.attributes.window);
  visit_floating(args.x.dtype(), "average_pool", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      A sum{};
      for_window(win, xe, d, h, w, [&](int64_t id, int64_t ih, int64_t iw) {
        sum += convert<A>(x[xs(n, c, id, ih, iw)]);
      });
      y[ys(n, c, d, h, w)] =
          convert<T>(sum / A(divisor(win, xe, args.attributes.count_include_pad, d, h, w)));
    });
  });
}

void average_backward(ExecContext&, ops::AveragePoolBackwardArgs& args) {
  const Extents5 xe = extents5(args.dx.shape()), ye = extents5(args.dy.shape());
  const Strides5 xs = strides5(args.dx), ys = strides5(args.dy);
  const Window3 win(args.attributes.window);
  visit_floating(args.dx.dtype(), "average_pool", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* dy = args.dy.data<T>();
    std::vector<A> sums(static_cast<size_t>(args.dx.numel()));
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      const A share = convert<A>(dy[ys(n, c, d, h, w)]) /
                      A(divisor(win, xe, args.attributes.count_include_pad, d, h, w));
      for_window(win, xe, d, h, w, [&](int64_t id, int64_t ih, int64_t iw) {
        sums[static_cast<size_t>(xs(n, c, id, ih, iw))] += share;
      });
    });
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

// The input cells under an adaptive output cell, as half-open ranges.
struct AdaptiveCells {
  int64_t begin[3], end[3];
  AdaptiveCells(const Extents5& x, const Extents5& y, int64_t d, int64_t h, int64_t w) {
    const int64_t in[3] = {x.d, x.h, x.w}, out[3] = {y.d, y.h, y.w}, at[3] = {d, h, w};
    for (int axis = 0; axis < 3; ++axis) {
      begin[axis] = at[axis] * in[axis] / out[axis];
      end[axis] = ceil_div((at[axis] + 1) * in[axis], out[axis]);
    }
  }
  int64_t count() const { return (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]); }
  template <class F>
  void for_each(F&& f) const {
    for (int64_t d = begin[0]; d < end[0]; ++d)
      for (int64_t h = begin[1]; h < end[1]; ++h)
        for (int64_t w = begin[2]; w < end[2]; ++w) f(d, h, w);
  }
};

void adaptive_forward(ExecContext&, ops::AdaptiveAveragePoolForwardArgs& args) {
  const Extents5 xe = extents5(args.x.shape()), ye = extents5(args.y.shape());
  const Strides5 xs = strides5(args.x), ys = strides5(args.y);
  visit_floating(args.x.dtype(), "adaptive_average_pool", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      const AdaptiveCells cells(xe, ye, d, h, w);
      A sum{};
      cells.for_each(
          [&](int64_t id, int64_t ih, int64_t iw) { sum += convert<A>(x[xs(n, c, id, ih, iw)]); });
      y[ys(n, c, d, h, w)] = convert<T>(sum / A(cells.count()));
    });
  });
}

void adaptive_backward(ExecContext&, ops::AdaptiveAveragePoolBackwardArgs& args) {
  const Extents5 xe = extents5(args.dx.shape()), ye = extents5(args.dy.shape());
  const Strides5 xs = strides5(args.dx), ys = strides5(args.dy);
  visit_floating(args.dx.dtype(), "adaptive_average_pool", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* dy = args.dy.data<T>();
    std::vector<A> sums(static_cast<size_t>(args.dx.numel()));
    for_each_output(ye, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      const AdaptiveCells cells(xe, ye, d, h, w);
      const A share = convert<A>(dy[ys(n, c, d, h, w)]) / A(cells.count());
      cells.for_each([&](int64_t id, int64_t ih, int64_t iw) {
        sums[static_cast<size_t>(xs(n, c, id, ih, iw))] += share;
      });
    });
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

}  // namespace

void register_pool(ops::PoolKernels& kernels) {
  kernels.max_forward.add({"reference", takes_all, max_forward});
  kernels.max_backward.add({"reference", takes_all, max_backward});
  kernels.average_forward.add({"reference", takes_all, average_forward});
  kernels.average_backward.add({"reference", takes_all, average_backward});
  kernels.adaptive_forward.add({"reference", takes_all, adaptive_forward});
  kernels.adaptive_backward.add({"reference", takes_all, adaptive_backward});
}

}  // namespace graft::reference
