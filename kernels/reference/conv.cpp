// Convolution by its definition: seven loops a pass, any rank, any layout, any dtype. The oracle of
// all others.
#include "graft/kernels/ops/conv.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// The problem on three spatial axes (absent ones have extent 1), and the walk over its
// multiply-adds.
struct Problem {
  Extents5 x, y, w;  // w: [K, C/groups, kernel...]
  std::array<int64_t, 3> stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};
  int64_t groups;

  Problem(const Shape& xs, const Shape& ws, const Shape& ys, const ops::ConvAttributes& a)
      : x(extents5(xs)), y(extents5(ys)), w(extents5(ws)), groups(a.groups) {
    const auto axes = static_cast<size_t>(a.window.axes);
    for (size_t i = 0; i < axes; ++i) {  // right-aligned, as in extents5
      stride[3 - axes + i] = a.window.stride[i];
      dilation[3 - axes + i] = a.window.dilation[i];
      pad[3 - axes + i] = a.window.pad_begin[i];
    }
  }

  // Input coordinate under output o and kernel r on an axis.
  int64_t input(size_t axis, int64_t o, int64_t r) const {
    return o * stride[axis] + r * dilation[axis] - pad[axis];
  }

  // Calls f(x channel, c in group, od, oh, ow, rd, rh, rw, id, ih, iw) for every product that lies
  // inside the input.
  template <class F>
  void for_each_product(int64_t k, F&& f) const {
    for (int64_t c = 0; c < w.c; ++c)
      for (int64_t rd = 0; rd < w.d; ++rd)
        for (int64_t rh = 0; rh < w.h; ++rh)
          for (int64_t rw = 0; rw < w.w; ++rw)
            for (int64_t od = 0; od < y.d; ++od) {
              const int64_t id = input(0, od, rd);
              if (id < 0 || id >= x.d) continue;
              for (int64_t oh = 0; oh < y.h; ++oh) {
                const int64_t ih = input(1, oh, rh);
                if (ih < 0 || ih >= x.h) continue;
                for (int64_t ow = 0; ow < y.w; ++ow) {
                  const int64_t iw = input(2, ow, rw);
                  if (iw < 0 || iw >= x.w) continue;
                  f(k / (w.n / groups) * w.c + c, c, od, oh, ow, rd, rh, rw, id, ih, iw);
                }
              }
            }
  }
};

template <class T>
std::vector<Accumulator<T>> widened(const Tensor& t) {
  std::vector<Accumulator<T>> values(static_cast<size_t>(t.numel()));
  const T* in = t.data<T>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = convert<Accumulator<T>>(in[i]);
  return values;
}

template <class A>
void store(const std::vector<A>& sums, Tensor& out) {
  visit_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = out.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) to[i] = convert<T>(sums[i]);
  });
}

void forward(ExecContext& context, ops::ConvForwardArgs& args) {
  const Problem p(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes);
  const Strides5 xs = strides5(args.x), ws = strides5(args.weight), ys = strides5(args.y);
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const std::vector<A> x = widened<T>(args.x);
    const Tensor same_weight = args.weight.to(args.x.dtype());
    const std::vector<A> w = widened<T>(same_weight);
    std::vector<A> y(static_cast<size_t>(args.y.numel()));
    const std::vector<double> bias = args.bias ? args.bias->to_doubles() : std::vector<double>();
    context.parallel_for(p.y.n * p.y.c, [&](int64_t job) {
      const int64_t n = job / p.y.c, k = job % p.y.c;
      if (!bias.empty())
        for (int64_t d = 0; d < p.y.d; ++d)
          for (int64_t h = 0; h < p.y.h; ++h)
            for (int64_t q = 0; q < p.y.w; ++q)
              y[static_cast<size_t>(ys(n, k, d, h, q))] = convert<A>(bias[static_cast<size_t>(k)]);
      p.for_each_product(
          k, [&](int64_t xc, int64_t c, int64_t od, int64_t oh, int64_t ow, int64_t rd, int64_t rh,
                 int64_t rw, int64_t id, int64_t ih, int64_t iw) {
            y[static_cast<size_t>(ys(n, k, od, oh, ow))] +=
                x[static_cast<size_t>(xs(n, xc, id, ih, iw))] *
                w[static_cast<size_t>(ws(k, c, rd, rh, rw))];
          });
    });
    store(y, args.y);
  });
}

void backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  const Problem p(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes);
  const Strides5 xs = strides5(args.dx), ws = strides5(args.weight), ys = strides5(args.dy);
  visit_floating(args.dx.dtype(), "conv backward-data", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const std::vector<A> dy = widened<T>(args.dy);
    const Tensor same_weight = args.weight.to(args.dx.dtype());
    const std::vector<A> w = widened<T>(same_weight);
    std::vector<A> dx(static_cast<size_t>(args.dx.numel()));
    context.parallel_for(p.y.n, [&](int64_t n) {
      for (int64_t k = 0; k < p.y.c; ++k)
        p.for_each_product(
            k, [&](int64_t xc, int64_t c, int64_t od, int64_t oh, int64_t ow, int64_t rd,
                   int64_t rh, int64_t rw, int64_t id, int64_t ih, int64_t iw) {
              dx[static_cast<size_t>(xs(n, xc, id, ih, iw))] +=
                  dy[static_cast<size_t>(ys(n, k, od, oh, ow))] *
                  w[static_cast<size_t>(ws(k, c, rd, rh, rw))];
            });
    });
    store(dx, args.dx);
  });
}

void backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  const Strides5 xs = strides5(args.x), ys = strides5(args.dy);
  const Extents5 e = extents5(args.dy.shape());
  visit_floating(args.x.dtype(), "conv backward-weight", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const std::vector<A> dy = widened<T>(args.dy);
    if (args.dbias) {
      std::vector<A> dbias(static_cast<size_t>(e.c));
      for (int64_t n = 0; n < e.n; ++n)
        for (int64_t k = 0; k < e.c; ++k)
          for (int64_t d = 0; d < e.d; ++d)
            for (int64_t h = 0; h < e.h; ++h)
              for (int64_t w = 0; w < e.w; ++w)
                dbias[static_cast<size_t>(k)] += dy[static_cast<size_t>(ys(n, k, d, h, w))];
      store(dbias, *args.dbias);
    }
    if (!args.dweight) return;
    const Problem p(args.x.shape(), args.dweight->shape(), args.dy.shape(), args.attributes);
    const Strides5 ws = strides5(*args.dweight);
    const std::vector<A> x = widened<T>(args.x);
    std::vector<A> dw(static_cast<size_t>(args.dweight->numel()));
    context.parallel_for(p.y.c, [&](int64_t k) {
      for (int64_t n = 0; n < p.y.n; ++n)
        p.for_each_product(
            k, [&](int64_t xc, int64_t c, int64_t od, int64_t oh, int64_t ow, int64_t rd,
                   int64_t rh, int64_t rw, int64_t id, int64_t ih, int64_t iw) {
              dw[static_cast<size_t>(ws(k, c, rd, rh, rw))] +=
                  x[static_cast<size_t>(xs(n, xc, id, ih, iw))] *
                  dy[static_cast<size_t>(ys(n, k, od, oh, ow))];
            });
    });
    store(dw, *args.dweight);
  });
}

}  // namespace

void conv_forward(ExecContext& context, ops::ConvForwardArgs args) { forward(context, args); }

void register_conv(ops::ConvKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward_data.add({"reference", takes_all, backward_data});
  kernels.backward_weight.add({"reference", takes_all, backward_weight});
}

}  // namespace graft::reference
