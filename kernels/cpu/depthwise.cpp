#include "graft/kernels/cpu/depthwise.h"

#include <algorithm>
#include <cstdlib>

#include "graft/kernels/cpu/column_sums.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {
namespace {

constexpr int64_t kDepthwiseElements = 1 << 15;  // of output a job
constexpr int64_t kGradientPixels = 2048;        // of a split, whose sums are one after another
constexpr int64_t kGradientBytes = 192 << 10;    // of images read at a time: they stay in L2
constexpr int64_t kGradientJobs = 16;            // wanted at least
constexpr int64_t kGradientChannels = 64;        // of a job at least: whole lines of memory

// The taps under a grid's pixels. Pixels of a row whose window lies inside of the image are one
// run, the others are taken one by one; what lies outside is read from zeros.
template <class T>
class DepthwiseWindow {
 public:
  DepthwiseWindow(const DepthwiseGrid& grid, const T* in)
      : g_(grid),
        in_(in),
        tap_step_(columns() > 1 ? (g_.columns[1] - g_.columns[0]) * g_.channels : 0),
        margin_(std::abs(tap_step_) * columns()),
        zeros_(2 * margin_ + g_.grid_w * g_.step_w * g_.channels + g_.channels) {
    std::fill_n(zeros_.data(), 2 * margin_ + g_.grid_w * g_.step_w * g_.channels + g_.channels,
                T(0));
    first_ = 0, last_ = g_.grid_w;
    for (const int64_t shift : g_.columns) {
      first_ = std::max(first_, ceil_div(std::max<int64_t>(0, -shift), g_.step_w));
      const int64_t behind = g_.in_w - shift;  // the first column outside, before the step
      last_ = std::min(last_, behind > 0 ? ceil_div(behind, g_.step_w) : 0);
    }
    first_ = std::min(first_, g_.grid_w);
    last_ = std::max(first_, last_);
  }

  int64_t rows() const { return static_cast<int64_t>(g_.rows.size()); }
  int64_t columns() const { return static_cast<int64_t>(g_.columns.size()); }
  int64_t taps() const { return rows() * columns(); }
  int64_t tap_step() const { return tap_step_; }

  // Calls f(first column, pixels, is_regular) for the runs of a row.
  template <class F>
  void for_runs(F&& f) const {
    for (int64_t q = 0; q < first_; ++q) f(q, 1, false);
    if (last_ > first_) f(first_, last_ - first_, true);
    for (int64_t q = last_; q < g_.grid_w; ++q) f(q, 1, false);
  }

  void point_at(int64_t n, int64_t row, int64_t q, bool is_regular, const T** taps) const {
    for (const int64_t shift : g_.rows) {
      const int64_t h = row * g_.step_h + shift;
      const bool is_inside = h >= 0 && h < g_.in_h;
      const T* line = in_ + (n * g_.in_h + h) * g_.in_w * g_.channels;
      for (int64_t s = 0; s < columns(); ++s) {
        const int64_t w = q * g_.step_w + g_.columns[static_cast<size_t>(s)];
        if (is_regular)
          *taps++ = is_inside ? line + w * g_.channels : zeros_.data() + margin_ + s * tap_step_;
        else
          *taps++ = is_inside && w >= 0 && w < g_.in_w ? line + w * g_.channels : zeros_.data();
      }
    }
  }

 private:
  const DepthwiseGrid& g_;
  const T* in_;
  int64_t tap_step_, margin_;
  Scratch<T> zeros_;
  int64_t first_, last_;
};

// How the weight's gradient is cut, by the shape alone.
struct GradientCut {
  int64_t rows, split_rows, splits, block_rows, channels, channel_blocks;
};

GradientCut gradient_cut(const DepthwiseGrid& g, int64_t element_bytes) {
  GradientCut c{};
  c.rows = g.batch * g.grid_h;
  c.split_rows = std::max<int64_t>(1, ceil_div(kGradientPixels, g.grid_w));
  c.splits = ceil_div(c.rows, c.split_rows);
  c.split_rows = ceil_div(c.rows, c.splits);
  c.splits = ceil_div(c.rows, c.split_rows);
  const int64_t wanted = ceil_div(kGradientJobs, c.splits);
  c.channels = std::max(kGradientChannels, round_up(ceil_div(g.channels, wanted), 16));
  c.channel_blocks = ceil_div(g.channels, c.channels);
  const int64_t row_bytes =
      (g.grid_w + g.step_h * g.in_w) * std::min(c.channels, g.channels) * element_bytes;
  c.block_rows = std::max<int64_t>(1, kGradientBytes / std::max<int64_t>(1, row_bytes));
  return c;
}

// The runs of some rows, as the kernel takes them.
template <class T>
class GradientRuns {
 public:
  GradientRuns(const DepthwiseGrid& grid, const DepthwiseWindow<T>& window, const T* dy)
      : g_(grid), window_(window), dy_(dy) {}

  const std::vector<DepthwiseRun<T>>& of_rows(int64_t begin, int64_t end, int64_t channel) {
    runs_.clear();
    taps_.clear();
    taps_.reserve(static_cast<size_t>((end - begin) * g_.grid_w * window_.taps()));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / g_.grid_h, row = i % g_.grid_h;
      window_.for_runs([&](int64_t q, int64_t pixels, bool is_regular) {
        const size_t at = taps_.size();
        taps_.resize(at + static_cast<size_t>(window_.taps()));
        window_.point_at(n, row, q, is_regular, taps_.data() + at);
        for (size_t t = at; t < taps_.size(); ++t) taps_[t] += channel;
        runs_.push_back(
            {taps_.data() + at, is_regular,
             dy_ + g_.out_first + n * g_.out_sample + row * g_.out_row + q * g_.out_pixel + channel,
             pixels});
      });
    }
    return runs_;
  }

 private:
  const DepthwiseGrid& g_;
  const DepthwiseWindow<T>& window_;
  const T* dy_;
  std::vector<DepthwiseRun<T>> runs_;
  std::vector<const T*> taps_;  // reserved for all, so that it does not move
};

}  // namespace

DepthwiseGrid depthwise_forward_grid(const ConvShape& s) {
  DepthwiseGrid g{s.n,        s.c, s.h, s.w, s.p, s.q,       s.stride_h,
                  s.stride_w, {},  {},  0,   s.c, s.q * s.c, s.p * s.q * s.c};
  for (int64_t r = 0; r < s.r; ++r) g.rows.push_back(r * s.dilation_h - s.pad_h);
  for (int64_t i = 0; i < s.s; ++i) g.columns.push_back(i * s.dilation_w - s.pad_w);
  return g;
}

std::vector<DepthwisePhase> depthwise_data_phases(const ConvShape& s) {
  std::vector<DepthwisePhase> phases;
  for (int64_t a = 0; a < std::min(s.stride_h, s.h); ++a)
    for (int64_t b = 0; b < std::min(s.stride_w, s.w); ++b) {
      DepthwisePhase phase;
      DepthwiseGrid& g = phase.grid;
      g = {s.n,
           s.c,
           s.p,
           s.q,
           ceil_div(s.h - a, s.stride_h),
           ceil_div(s.w - b, s.stride_w),
           1,
           1,
           {},
           {},
           (a * s.w + b) * s.c,
           s.stride_w * s.c,
           s.stride_h * s.w * s.c,
           s.h * s.w * s.c};
      // dx row y * stride + a meets tap r in dy row y + (a + pad - r * dilation) / stride.
      std::vector<int64_t> taps_h, taps_w;
      for (int64_t r = 0; r < s.r; ++r)
        if ((a + s.pad_h - r * s.dilation_h) % s.stride_h == 0) {
          taps_h.push_back(r);
          g.rows.push_back((a + s.pad_h - r * s.dilation_h) / s.stride_h);
        }
      for (int64_t i = 0; i < s.s; ++i)
        if ((b + s.pad_w - i * s.dilation_w) % s.stride_w == 0) {
          taps_w.push_back(i);
          g.columns.push_back((b + s.pad_w - i * s.dilation_w) / s.stride_w);
        }
      for (const int64_t r : taps_h)
        for (const int64_t i : taps_w) phase.taps.push_back(r * s.s + i);
      phases.push_back(std::move(phase));
    }
  return phases;
}

template <class P>
void pack_depthwise(const ConvShape& shape, const Tensor& weight, P* to) {
  const WeightStrides strides(weight);
  const P* in = weight.data<P>();
  for (int64_t r = 0; r < shape.r; ++r)
    for (int64_t s = 0; s < shape.s; ++s)
      for (int64_t c = 0; c < shape.c; ++c)
        *to++ = in[c * strides.k + r * strides.r + s * strides.s];
}

int64_t depthwise_block_rows(const DepthwiseGrid& g) {
  const int64_t line = std::max<int64_t>(1, g.grid_w * g.channels);
  return std::max<int64_t>(1, kDepthwiseElements / line) * g.grid_w;
}

template <class T>
void run_depthwise(ExecContext& context, const ChannelKernels<T>& kernels,
                   const DepthwiseProblem<T>& problem) {
  const DepthwiseGrid& g = problem.grid;
  const int64_t rows = g.batch * g.grid_h;
  if (rows * g.grid_w * g.channels == 0) return;
  const DepthwiseWindow<T> window(g, problem.in);
  const int64_t each = depthwise_block_rows(g) / g.grid_w;
  context.parallel_for(ceil_div(rows, each), [&](int64_t job) {
    std::vector<const T*> taps(static_cast<size_t>(window.taps()));
    for (int64_t i = job * each; i < std::min(rows, (job + 1) * each); ++i) {
      const int64_t n = i / g.grid_h, row = i % g.grid_h;
      window.for_runs([&](int64_t q, int64_t pixels, bool is_regular) {
        window.point_at(n, row, q, is_regular, taps.data());
        const int64_t at = g.out_first + n * g.out_sample + row * g.out_row + q * g.out_pixel;
        kernels.depthwise({taps.data(), window.rows(), window.columns(), is_regular,
                           window.tap_step(), g.step_w * g.channels, pixels, g.channels,
                           problem.weight, g.channels, problem.bias,
                           problem.residual ? problem.residual + at : nullptr, problem.out + at,
                           g.out_pixel, problem.activation});
      });
      if constexpr (!std::is_same_v<T, double>)
        if (problem.map) {
          T* line = problem.out + g.out_first + n * g.out_sample + row * g.out_row;
          map_kernels_for<T>(context).map(*problem.map, line, g.grid_w * g.channels, line);
        }
    }
    if (problem.moments)
      kernels.moments(problem.out + job * each * g.out_row, problem.moments->rows(job), g.channels,
                      g.channels, problem.moments->means(job), problem.moments->squares(job));
  });
}

template <class T>
void run_depthwise_gradient(ExecContext& context, const ChannelKernels<T>& kernels,
                            const DepthwiseGrid& g, const T* in, const T* dy,
                            typename ParameterOf<T>::type* sums) {
  using P = typename ParameterOf<T>::type;
  const DepthwiseWindow<T> window(g, in);
  const int64_t size = window.taps() * g.channels;
  std::fill_n(sums, size, P(0));
  if (g.batch * g.grid_h * g.grid_w * size == 0) return;
  const GradientCut cut = gradient_cut(g, sizeof(T));
  const Scratch<P> rest((cut.splits - 1) * size);  // the first split's sums are the result's
  std::fill_n(rest.data(), (cut.splits - 1) * size, P(0));
  context.parallel_for(cut.splits * cut.channel_blocks, [&](int64_t job) {
    const int64_t split = job / cut.channel_blocks,
                  channel = job % cut.channel_blocks * cut.channels;
    const int64_t end = std::min(cut.rows, (split + 1) * cut.split_rows);
    P* to = (split == 0 ? sums : rest.data() + (split - 1) * size) + channel;
    GradientRuns<T> runs(g, window, dy);
    for (int64_t row = split * cut.split_rows; row < end; row += cut.block_rows) {
      const auto& some = runs.of_rows(row, std::min(end, row + cut.block_rows), channel);
      kernels.depthwise_gradient({some.data(), std::ssize(some), window.rows(), window.columns(),
                                  window.tap_step(), g.step_w * g.channels, g.out_pixel,
                                  std::min(cut.channels, g.channels - channel), to, g.channels});
    }
  });
  for (int64_t split = 1; split < cut.splits; ++split)
    for (int64_t i = 0; i < size; ++i) sums[i] += rest.data()[(split - 1) * size + i];
}

template void pack_depthwise(const ConvShape&, const Tensor&, float*);
template void pack_depthwise(const ConvShape&, const Tensor&, double*);
template void run_depthwise(ExecContext&, const ChannelKernels<float>&,
                            const DepthwiseProblem<float>&);
template void run_depthwise(ExecContext&, const ChannelKernels<double>&,
                            const DepthwiseProblem<double>&);
template void run_depthwise(ExecContext&, const ChannelKernels<Bf16>&,
                            const DepthwiseProblem<Bf16>&);
template void run_depthwise_gradient(ExecContext&, const ChannelKernels<float>&,
                                     const DepthwiseGrid&, const float*, const float*, float*);
template void run_depthwise_gradient(ExecContext&, const ChannelKernels<double>&,
                                     const DepthwiseGrid&, const double*, const double*, double*);
template void run_depthwise_gradient(ExecContext&, const ChannelKernels<Bf16>&,
                                     const DepthwiseGrid&, const Bf16*, const Bf16*, float*);

// Backward-data and backward-weight as kernels, "cpu_depthwise"; forward stands in
// conv_forward.cpp.

namespace {

// Each phase's taps as [tap][channel], phase behind phase.
template <class P>
void pack_phases(const ConvShape& shape, const std::vector<DepthwisePhase>& phases,
                 const Tensor& weight, P* to) {
  const Scratch<P> by_tap(weight.numel());
  pack_depthwise(shape, weight, by_tap.data());
  for (const DepthwisePhase& phase : phases)
    for (const int64_t tap : phase.taps)
      to = std::copy_n(by_tap.data() + tap * shape.c, shape.c, to);
}

template <class T>
void depthwise_data_of(ExecContext& context, ops::ConvBackwardDataArgs& args, bool is_added) {
  using P = typename ParameterOf<T>::type;
  const ConvShape shape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes);
  std::vector<DepthwisePhase> phases = depthwise_data_phases(shape);
  const Scratch<P> packed(shape.r * shape.s * shape.c);
  pack_phases(shape, phases, args.weight, packed.data());
  const P* weight = packed.data();
  T* dx = mutable_image_data<T>(args.dx);
  for (DepthwisePhase& phase : phases) {
    const int64_t size = std::ssize(phase.taps) * shape.c;
    if (size > 0 || !is_added)
      run_depthwise<T>(context, channel_kernels_for<T>(context),
                       {std::move(phase.grid), image_data<T>(args.dy), weight, nullptr,
                        is_added ? dx : nullptr, dx, Activation::none});
    weight += size;
  }
}

const char* declines_depthwise_data(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (!is_nhwc(args.dy) || !is_nhwc(args.dx)) return "memory order is not channels_last";
  if (!is_image_dtype(args.dx.dtype()) || args.dy.dtype() != args.dx.dtype())
    return "only f32, f64 and bf16";
  if (args.weight.dtype() != parameter_dtype(args.dx.dtype()))
    return "the weight has another dtype";
  return is_depthwise(
             ConvShape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes))
             ? nullptr
             : "not one filter a channel";
}
void depthwise_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_image_dtype(args.dx.dtype(),
                    [&](auto zero) { depthwise_data_of<decltype(zero)>(context, args, false); });
}
void depthwise_data_added(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_image_dtype(args.dx.dtype(),
                    [&](auto zero) { depthwise_data_of<decltype(zero)>(context, args, true); });
}

template <class T>
void depthwise_weight_of(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  using P = typename ParameterOf<T>::type;
  if constexpr (!std::is_same_v<T, Bf16>)
    if (args.dbias)
      column_sums<T>(context, kernel_table_for<T>(context), args.dy.data<T>(),
                     args.dy.numel() / args.dy.size(1), args.dy.size(1),
                     args.dbias->mutable_data<T>());
  Tensor& dweight = *args.dweight;
  if (dweight.numel() == 0) return;
  const ConvShape shape(args.x.shape(), dweight.shape(), args.dy.shape(), args.attributes);
  const int64_t taps = shape.r * shape.s;
  const Scratch<P> sums(taps * shape.c);
  run_depthwise_gradient<T>(context, channel_kernels_for<T>(context), depthwise_forward_grid(shape),
                            image_data<T>(args.x), image_data<T>(args.dy), sums.data());
  // [C,1,R,S] is [channel][tap] in either format.
  P* out = dweight.mutable_data<P>();
  for (int64_t c = 0; c < shape.c; ++c)
    for (int64_t t = 0; t < taps; ++t) *out++ = sums.data()[t * shape.c + c];
}

const char* declines_depthwise_weight(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "only the bias's gradient is wanted";
  if (!is_nhwc(args.x) || !is_nhwc(args.dy)) return "memory order is not channels_last";
  if (!is_image_dtype(args.x.dtype()) || args.dy.dtype() != args.x.dtype())
    return "only f32, f64 and bf16";
  if (args.dbias && (args.dbias->dtype() != args.dy.dtype())) return "dbias has another dtype";
  if (args.dweight->dtype() != parameter_dtype(args.x.dtype())) return "dweight has another dtype";
  return is_depthwise(
             ConvShape(args.x.shape(), args.dweight->shape(), args.dy.shape(), args.attributes))
             ? nullptr
             : "not one filter a channel";
}
void depthwise_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { depthwise_weight_of<decltype(zero)>(context, args); });
}

}  // namespace

void register_depthwise_backward(ops::ConvKernels& kernels) {
  kernels.backward_data.add({"cpu_depthwise", declines_depthwise_data, depthwise_data});
  kernels.backward_data_added.add({"cpu_depthwise", declines_depthwise_data, depthwise_data_added});
  kernels.backward_weight.add({"cpu_depthwise", declines_depthwise_weight, depthwise_weight});
}

}  // namespace graft::cpu
