// Index maths of convolution for images in channels_last: which element of x, dy or the weight
// stands at a place of the matrix product that a pass is. Host and device; tested exhaustively.
#pragma once
#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cuda {

struct ConvGeometry {
  int64_t n, h, w, c, p, q, k, r, s;  // all channels, all filters
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
  int64_t weight_k, weight_c, weight_r, weight_s;  // element strides of the weight [K,C/groups,R,S]

  static ConvGeometry of(const Shape& x, const Shape& y, const Tensor& weight,
                         const ops::ConvAttributes& attributes) {
    const ops::Window& window = attributes.window;
    const Shape& f = weight.shape();
    ConvGeometry g{x[0],
                   x[2],
                   x[3],
                   x[1],
                   y[2],
                   y[3],
                   y[1],
                   f[2],
                   f[3],
                   window.stride[0],
                   window.stride[1],
                   window.pad_begin[0],
                   window.pad_begin[1],
                   window.dilation[0],
                   window.dilation[1],
                   attributes.groups,
                   f[1] * f[2] * f[3],
                   0,
                   0,
                   0};
    const bool last = weight.format() == MemoryFormat::channels_last;
    g.weight_c = last ? 1 : f[2] * f[3];
    g.weight_r = last ? f[3] * f[1] : f[3];
    g.weight_s = last ? f[1] : 1;
    return g;
  }

  GRAFT_HD int64_t group_c() const { return c / groups; }
  GRAFT_HD int64_t group_k() const { return k / groups; }
  GRAFT_HD int64_t pixels() const { return n * p * q; }  // of y
  GRAFT_HD int64_t taps() const { return r * s * group_c(); }

  // A tap of the window: t = (r * S + s) * C/groups + c.
  struct Tap {
    int64_t r, s, c;
  };
  GRAFT_HD Tap tap(int64_t t) const {
    return {t / group_c() / s, t / group_c() % s, t % group_c()};
  }
  GRAFT_HD int64_t weight_at(int64_t filter, const Tap& t) const {  // `filter` of all K
    return filter * weight_k + t.c * weight_c + t.r * weight_r + t.s * weight_s;
  }
  // The element of x under tap t of output pixel m = (n * P + p) * Q + q in group g; -1 in the
  // padding.
  GRAFT_HD int64_t x_at(int64_t g, int64_t m, const Tap& t) const {
    const int64_t column = m % q * stride_w + t.s * dilation_w - pad_w,
                  row = m / q % p * stride_h + t.r * dilation_h - pad_h;
    if (row < 0 || row >= h || column < 0 || column >= w) return -1;
    return ((m / q / p * h + row) * w + column) * c + g * group_c() + t.c;
  }
  GRAFT_HD int64_t y_at(int64_t g, int64_t m, int64_t filter) const {
    return m * k + g * group_k() + filter;
  }  // `filter` of the group
  // The pixel m of y whose tap (r, s) lies on input pixel i = (n * H + h) * W + w; -1: none.
  GRAFT_HD int64_t pixel_under(int64_t i, int64_t tap_r, int64_t tap_s) const {
    const int64_t column = i % w + pad_w - tap_s * dilation_w,
                  row = i / w % h + pad_h - tap_r * dilation_h;
    if (row < 0 || column < 0 || row % stride_h != 0 || column % stride_w != 0) return -1;
    if (row / stride_h >= p || column / stride_w >= q) return -1;
    return (i / w / h * p + row / stride_h) * q + column / stride_w;
  }
};

}  // namespace graft::cuda
