// Index maths of pooling for images in channels_last, host and device; tested exhaustively. Backward passes gather: each input
// element asks which windows hold it, so nothing is added atomically.
#pragma once
#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/ops/pool.h"

namespace graft::cuda {

struct PoolGeometry {
  int64_t n, h, w, c, p, q, r, s;
  int64_t stride_h, stride_w, pad_h, pad_w, end_h, end_w, dilation_h, dilation_w;  // end: padding after

  static PoolGeometry of(const Shape& x, const Shape& y, const ops::Window& window) {
    return {x[0], x[2], x[3], x[1], y[2], y[3], window.kernel[0], window.kernel[1], window.stride[0], window.stride[1], window.pad_begin[0],
            window.pad_begin[1], window.pad_end[0], window.pad_end[1], window.dilation[0], window.dilation[1]};
  }

  struct Pixel {
    int64_t image, row, column;
  };
  GRAFT_HD Pixel input(int64_t i) const { return {i / w / h, i / w % h, i % w}; }
  GRAFT_HD Pixel output(int64_t i) const { return {i / q / p, i / q % p, i % q}; }
  // The input's row (column) under window row (column) a; outside of [0, h) it is padding.
  GRAFT_HD int64_t input_row(int64_t row, int64_t a) const { return row * stride_h + a * dilation_h - pad_h; }
  GRAFT_HD int64_t input_column(int64_t column, int64_t b) const { return column * stride_w + b * dilation_w - pad_w; }
  // The output row whose window row `a` lies on input row `row`; -1: none.
  GRAFT_HD int64_t output_row(int64_t row, int64_t a) const { return position(row + pad_h - a * dilation_h, stride_h, p); }
  GRAFT_HD int64_t output_column(int64_t column, int64_t b) const { return position(column + pad_w - b * dilation_w, stride_w, q); }

  // How many positions the average's divisor counts.
  GRAFT_HD int64_t divisor(int64_t row, int64_t column, bool include_pad) const {
    int64_t rows = 0, columns = 0;
    for (int64_t a = 0; a < r; ++a) rows += counts(input_row(row, a), h, end_h, include_pad);
    for (int64_t b = 0; b < s; ++b) columns += counts(input_column(column, b), w, end_w, include_pad);
    return rows * columns > 1 ? rows * columns : 1;
  }

 private:
  GRAFT_HD static int64_t position(int64_t from, int64_t stride, int64_t extent) {
    return from < 0 || from % stride != 0 || from / stride >= extent ? -1 : from / stride;
  }
  GRAFT_HD static int64_t counts(int64_t at, int64_t extent, int64_t end, bool include_pad) {
    return include_pad ? at < extent + end : at >= 0 && at < extent;
  }
};

// Adaptive pooling along one axis: output cell i averages input [begin, end).
struct AdaptiveAxis {
  int64_t in, out;
  GRAFT_HD int64_t begin(int64_t i) const { return i * in / out; }
  GRAFT_HD int64_t end(int64_t i) const { return ((i + 1) * in + out - 1) / out; }
  GRAFT_HD int64_t width(int64_t i) const { return end(i) - begin(i); }
  // The output cells that hold input element `at` are [first, last].
  GRAFT_HD int64_t first(int64_t at) const { return at * out / in; }
  GRAFT_HD int64_t last(int64_t at) const { return ((at + 1) * out + in - 1) / in - 1; }
};

}  // namespace graft::cuda
