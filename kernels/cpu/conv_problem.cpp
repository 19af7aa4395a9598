#include "graft/kernels/cpu/conv_problem.h"

namespace graft::cpu {

ConvShape::ConvShape(const Shape& x, const Shape& weight, const Shape& y,
                     const ops::ConvAttributes& a)
    : n(x[0]),
      c(x[1]),
      h(x[2]),
      w(x[3]),
      k(y[1]),
      p(y[2]),
      q(y[3]),
      r(weight[2]),
      s(weight[3]),
      stride_h(a.window.stride[0]),
      stride_w(a.window.stride[1]),
      dilation_h(a.window.dilation[0]),
      dilation_w(a.window.dilation[1]),
      pad_h(a.window.pad_begin[0]),
      pad_w(a.window.pad_begin[1]),
      groups(a.groups) {}

namespace {

// The taps [first, end) of one axis that meet the image somewhere.
struct TapRange {
  int64_t first, end;
};
TapRange met_taps(int64_t taps, int64_t stride, int64_t dilation, int64_t pad, int64_t in,
                  int64_t out) {
  const auto meets = [&](int64_t t) {
    for (int64_t i = 0; i < out; ++i) {
      const int64_t at = i * stride + t * dilation - pad;
      if (at >= 0 && at < in) return true;
    }
    return false;
  };
  TapRange range{0, taps};
  while (range.first + 1 < range.end && !meets(range.first)) ++range.first;
  while (range.first + 1 < range.end && !meets(range.end - 1)) --range.end;
  return range;
}

}  // namespace

ConvShape ConvShape::without_idle_taps() const {
  const TapRange rows = met_taps(r, stride_h, dilation_h, pad_h, h, p),
                 columns = met_taps(s, stride_w, dilation_w, pad_w, w, q);
  ConvShape cropped = *this;
  cropped.first_r += rows.first, cropped.r = rows.end - rows.first,
                                 cropped.pad_h -= rows.first * dilation_h;
  cropped.first_s += columns.first, cropped.s = columns.end - columns.first,
                                    cropped.pad_w -= columns.first * dilation_w;
  return cropped;
}

WeightStrides::WeightStrides(const Tensor& weight) {
  const Shape& e = weight.shape();  // [K,C/groups,R,S]
  if (weight.format() == MemoryFormat::channels_last) {
    k = e[1] * e[2] * e[3], c = 1, r = e[3] * e[1], s = e[1];
  } else {
    k = e[1] * e[2] * e[3], c = e[2] * e[3], r = e[3], s = 1;
  }
  if (e[2] * e[3] == 1) c = 1;
}

const char* engine_declines_conv(const Tensor& in, const Tensor& out, const Tensor* weight) {
  if (in.rank() != 4) return "only two spatial axes";
  if (!is_engine_dtype(in.dtype())) return "only f32 and f64";
  if (out.dtype() != in.dtype()) return "the images' dtypes differ";
  if (!is_nhwc(in) || !is_nhwc(out)) return "memory order is not channels_last";
  if (weight && weight->dtype() != in.dtype()) return "the weight has another dtype";
  return nullptr;
}

bool merges_taps(const ConvShape& shape) {
  return shape.group_c() <= 8 && shape.s > 1 && shape.dilation_w == 1;
}

template <class T>
std::vector<PackSource<T>> forward_sources(const ConvShape& shape, const Tensor& weight) {
  const WeightStrides strides(weight);
  std::vector<PackSource<T>> sources;
  for (int64_t g = 0; g < shape.groups; ++g) {
    PackSource<T> source;
    source.source = weight.data<typename ParameterOf<T>::type>() + g * shape.group_k() * strides.k +
                    shape.first_r * strides.r + shape.first_s * strides.s;
    source.column_stride = strides.k;
    source.channel_stride = strides.c;
    for (int64_t r = 0; r < shape.r; ++r)
      for (int64_t s = 0; s < shape.s; ++s)
        source.tap_offsets.push_back(r * strides.r + s * strides.s);
    source.columns = shape.group_k();
    source.channels = shape.group_c();
    source.merged = merges_taps(shape) ? shape.s : 1;
    sources.push_back(std::move(source));
  }
  return sources;
}

template <class T>
std::vector<IndirectConv<T>> forward_problems(const ConvShape& shape, const T* x, T* y) {
  const bool merge = merges_taps(shape);
  std::vector<IndirectConv<T>> problems;
  for (int64_t g = 0; g < shape.groups; ++g) {
    IndirectConv<T> p;
    p.in = x + g * shape.group_c();
    p.batch = shape.n, p.in_h = shape.h, p.in_w = shape.w;
    p.in_pixel = shape.c;
    p.channels = shape.group_c();
    p.merged = merge ? shape.s : 1;
    for (int64_t r = 0; r < shape.r; ++r)
      for (int64_t s = 0; s < shape.s; s += p.merged)
        p.taps.push_back({r * shape.dilation_h - shape.pad_h, s * shape.dilation_w - shape.pad_w});
    p.step_h = shape.stride_h, p.step_w = shape.stride_w;
    p.out = y + g * shape.group_k();
    p.grid_h = shape.p, p.grid_w = shape.q;
    p.out_pixel = shape.k;
    p.out_row = shape.q * shape.k;
    p.out_sample = shape.p * shape.q * shape.k;
    p.out_channels = shape.group_k();
    problems.push_back(std::move(p));
  }
  return problems;
}

namespace {

// The taps that reach input positions phase, phase + stride, ... of one axis: x = y * stride + tap
// * dilation - pad.
struct PhaseTap {
  int64_t tap, shift;  // y = (x - phase) / stride + shift
};
std::vector<PhaseTap> phase_taps(int64_t phase, int64_t taps, int64_t stride, int64_t dilation,
                                 int64_t pad) {
  std::vector<PhaseTap> reached;
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t distance = phase + pad - t * dilation;
    if (distance % stride == 0) reached.push_back({t, distance / stride});
  }
  return reached;
}

// Calls f(group, phase of rows, phase of columns, taps of rows, taps of columns).
template <class F>
void for_each_phase(const ConvShape& shape, F&& f) {
  for (int64_t g = 0; g < shape.groups; ++g)
    for (int64_t a = 0; a < shape.stride_h; ++a)
      for (int64_t b = 0; b < shape.stride_w; ++b)
        f(g, a, b, phase_taps(a, shape.r, shape.stride_h, shape.dilation_h, shape.pad_h),
          phase_taps(b, shape.s, shape.stride_w, shape.dilation_w, shape.pad_w));
}

}  // namespace

template <class T>
std::vector<PackSource<T>> backward_data_sources(const ConvShape& shape, const Tensor& weight) {
  const WeightStrides strides(weight);
  std::vector<PackSource<T>> sources;
  for_each_phase(shape, [&](int64_t g, int64_t, int64_t, const auto& taps_h, const auto& taps_w) {
    PackSource<T> source;
    source.source = weight.data<typename ParameterOf<T>::type>() + g * shape.group_k() * strides.k +
                    shape.first_r * strides.r + shape.first_s * strides.s;
    source.column_stride = strides.c;
    source.channel_stride = strides.k;
    for (const PhaseTap& r : taps_h)
      for (const PhaseTap& s : taps_w)
        source.tap_offsets.push_back(r.tap * strides.r + s.tap * strides.s);
    source.columns = shape.group_c();
    source.channels = shape.group_k();
    sources.push_back(std::move(source));
  });
  return sources;
}

template <class T>
std::vector<IndirectConv<T>> backward_data_problems(const ConvShape& shape, const T* dy, T* dx) {
  std::vector<IndirectConv<T>> problems;
  for_each_phase(shape,
                 [&](int64_t g, int64_t a, int64_t b, const auto& taps_h, const auto& taps_w) {
                   IndirectConv<T> p;
                   p.in = dy + g * shape.group_k();
                   p.batch = shape.n, p.in_h = shape.p, p.in_w = shape.q;
                   p.in_pixel = shape.k;
                   p.channels = shape.group_k();
                   for (const PhaseTap& r : taps_h)
                     for (const PhaseTap& s : taps_w) p.taps.push_back({r.shift, s.shift});
                   p.out = dx + (a * shape.w + b) * shape.c + g * shape.group_c();
                   p.grid_h = a < shape.h ? ceil_div(shape.h - a, shape.stride_h) : 0;
                   p.grid_w = b < shape.w ? ceil_div(shape.w - b, shape.stride_w) : 0;
                   p.out_pixel = shape.stride_w * shape.c;
                   p.out_row = shape.stride_h * shape.w * shape.c;
                   p.out_sample = shape.h * shape.w * shape.c;
                   p.out_channels = shape.group_c();
                   problems.push_back(std::move(p));
                 });
  return problems;
}

template std::vector<PackSource<float>> backward_data_sources(const ConvShape&, const Tensor&);
template std::vector<PackSource<double>> backward_data_sources(const ConvShape&, const Tensor&);
template std::vector<IndirectConv<float>> backward_data_problems(const ConvShape&, const float*,
                                                                 float*);
template std::vector<IndirectConv<double>> backward_data_problems(const ConvShape&, const double*,
                                                                  double*);
template std::vector<PackSource<float>> forward_sources(const ConvShape&, const Tensor&);
template std::vector<PackSource<double>> forward_sources(const ConvShape&, const Tensor&);
template std::vector<PackSource<Bf16>> forward_sources(const ConvShape&, const Tensor&);
template std::vector<PackSource<U8>> forward_sources(const ConvShape&, const Tensor&);
template std::vector<IndirectConv<U8>> forward_problems(const ConvShape&, const U8*, U8*);
template std::vector<PackSource<Bf16>> backward_data_sources(const ConvShape&, const Tensor&);
template std::vector<IndirectConv<Bf16>> backward_data_problems(const ConvShape&, const Bf16*,
                                                                Bf16*);
template std::vector<IndirectConv<Bf16>> forward_problems(const ConvShape&, const Bf16*, Bf16*);
template std::vector<IndirectConv<float>> forward_problems(const ConvShape&, const float*, float*);
template std::vector<IndirectConv<double>> forward_problems(const ConvShape&, const double*,
                                                            double*);

}  // namespace graft::cpu
