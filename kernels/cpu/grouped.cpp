// Convolution of narrow groups, "cpu_grouped": rows of input are copied with their padding (and
// widened, from bfloat16), then every output row is one call of the instruction set's kernel.
#include "graft/kernels/cpu/grouped.h"

#include <algorithm>

#include "graft/kernels/cpu/column_sums.h"
#include "graft/kernels/cpu/packed_weight.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGroupedPixels = 2048;      // of a gradient's split, whose sums follow each other
constexpr int64_t kGroupedBytes = 192 << 10;  // of images read at a time: they stay in L2
constexpr int64_t kGroupedJobs = 16;          // of a gradient, wanted at least
constexpr int64_t kGroupedChannels = 64;      // of a gradient's job at least

// The input rows under some output rows, with their padding, as the kernels read them: in place
// where nothing is to be padded, widened or filled up. One job's.
template <class T>
class GroupedInput {
 public:
  using P = typename ParameterOf<T>::type;

  // `channels` from `channel` on; at most `rows` output rows at a time.
  GroupedInput(const GroupedKernels<T>& kernels, const DepthwiseGrid& grid, const T* in,
               int64_t channel, int64_t channels, int64_t rows)
      : kernels_(kernels),
        g_(grid),
        in_(in + channel),
        channels_(channels),
        low_(least(grid.columns)),
        width_((grid.grid_w - 1) * grid.step_w + most(grid.columns) + 1 - low_),
        in_place_(std::is_same_v<T, P> && lies_inside(grid) && channels % kernels.lanes == 0),
        step_(in_place_ ? grid.channels : round_up(channels, kernels.lanes)),
        height_((rows - 1) * grid.step_h + most(grid.rows) - least(grid.rows) + 1),
        lines_(in_place_ ? 0 : (height_ + 1) * width_ * step_),
        pointers_(static_cast<size_t>(rows * filter_rows())) {
    if (!in_place_) std::fill_n(line(height_), width_ * step_, P(0));
  }

  int64_t step() const { return step_; }
  int64_t tap_step() const {
    return g_.columns.size() > 1 ? (g_.columns[1] - g_.columns[0]) * step_ : 0;
  }

  // Output rows [first, first + count) of a sample.
  void load(int64_t n, int64_t first, int64_t count) {
    const int64_t top = first * g_.step_h + least(g_.rows),
                  bottom = (first + count - 1) * g_.step_h + most(g_.rows);
    if (!in_place_)
      for (int64_t h = std::max<int64_t>(0, top); h <= std::min(bottom, g_.in_h - 1); ++h)
        copy_line(n, h, line(h - top));
    size_t at = 0;
    for (int64_t row = first; row < first + count; ++row)
      for (const int64_t shift : g_.rows) pointers_[at++] = start(n, row * g_.step_h + shift, top);
  }
  // The kernel's rows of the loaded output row i.
  const P* const* rows(int64_t i) const { return pointers_.data() + i * filter_rows(); }

 private:
  static int64_t least(const std::vector<int64_t>& shifts) {
    return shifts.empty() ? 0 : *std::min_element(shifts.begin(), shifts.end());
  }
  static int64_t most(const std::vector<int64_t>& shifts) {
    return shifts.empty() ? 0 : *std::max_element(shifts.begin(), shifts.end());
  }
  static bool lies_inside(const DepthwiseGrid& g) {
    return least(g.rows) >= 0 && least(g.columns) >= 0 &&
           (g.grid_h - 1) * g.step_h + most(g.rows) < g.in_h &&
           (g.grid_w - 1) * g.step_w + most(g.columns) < g.in_w;
  }
  int64_t filter_rows() const { return std::ssize(g_.rows); }
  P* line(int64_t i) const { return lines_.data() + i * width_ * step_; }
  const T* pixel(int64_t n, int64_t h, int64_t w) const {
    return in_ + ((n * g_.in_h + h) * g_.in_w + w) * g_.channels;
  }

  const P* start(int64_t n, int64_t h, int64_t top) const {
    const int64_t shift = g_.columns.empty() ? 0 : g_.columns[0];
    if constexpr (std::is_same_v<T, P>)
      if (in_place_) return pixel(n, h, shift);
    return line(h < 0 || h >= g_.in_h ? height_ : h - top) + (shift - low_) * step_;
  }

  void copy_line(int64_t n, int64_t h, P* to) const {
    const int64_t begin = std::clamp<int64_t>(-low_, 0, width_),
                  end = std::clamp(g_.in_w - low_, begin, width_);
    std::fill(to, to + begin * step_, P(0));
    if (end > begin)
      kernels_.widen(pixel(n, h, begin + low_), g_.channels, end - begin, channels_,
                     to + begin * step_, step_);
    std::fill(to + end * step_, to + width_ * step_, P(0));
  }

  const GroupedKernels<T>& kernels_;
  const DepthwiseGrid& g_;
  const T* in_;
  int64_t channels_, low_, width_;  // columns of input from low_ on
  bool in_place_;
  int64_t step_;    // elements between pixels
  int64_t height_;  // lines for the rows, and one of zeros behind them
  Scratch<P> lines_;
  std::vector<const P*> pointers_;
};

// Calls f(sample, first row, rows) for the parts of [begin, end) of all samples' output rows.
template <class F>
void for_samples(const DepthwiseGrid& g, int64_t begin, int64_t end, F&& f) {
  while (begin < end) {
    const int64_t n = begin / g.grid_h, row = begin % g.grid_h,
                  count = std::min(end - begin, g.grid_h - row);
    f(n, row, count);
    begin += count;
  }
}

// Bits depend neither on the threads nor on the batch.
template <class T>
void run_grouped(ExecContext& context, const DepthwiseProblem<T>& p, int64_t group) {
  const GroupedKernels<T>& kernels = grouped_kernels_for<T>(context);
  const DepthwiseGrid& g = p.grid;
  const int64_t rows = g.batch * g.grid_h,
                each = depthwise_block_rows(g) / std::max<int64_t>(1, g.grid_w);
  if (rows * g.grid_w * g.channels == 0) return;
  context.parallel_for(ceil_div(rows, each), [&](int64_t job) {
    GroupedInput<T> input(kernels, g, p.in, 0, g.channels, std::min(each, g.grid_h));
    for_samples(g, job * each, std::min(rows, (job + 1) * each),
                [&](int64_t n, int64_t first, int64_t count) {
                  input.load(n, first, count);
                  for (int64_t i = 0; i < count; ++i) {
                    const int64_t at = g.out_first + n * g.out_sample + (first + i) * g.out_row;
                    kernels.run({input.rows(i), std::ssize(g.rows), std::ssize(g.columns),
                                 input.tap_step(), g.step_w * input.step(), g.grid_w, g.channels,
                                 group, p.weight, p.bias, p.residual ? p.residual + at : nullptr,
                                 p.out + at, g.out_pixel, p.activation});
                    if constexpr (!std::is_same_v<T, double>)
                      if (p.map)
                        map_kernels_for<T>(context).map(*p.map, p.out + at, g.grid_w * g.channels,
                                                        p.out + at);
                  }
                });
    if (p.moments)
      channel_kernels_for<T>(context).moments(p.out + job * each * g.out_row, p.moments->rows(job),
                                              g.channels, g.channels, p.moments->means(job),
                                              p.moments->squares(job));
  });
}

// How the weight's gradient is cut, by the shape alone.
struct GroupedCut {
  int64_t rows, split_rows, splits, block_rows, channels, channel_blocks;
};
GroupedCut grouped_cut(const DepthwiseGrid& g, int64_t element_bytes) {
  GroupedCut c{};
  c.rows = g.batch * g.grid_h;
  c.split_rows = std::max<int64_t>(1, ceil_div(kGroupedPixels, g.grid_w));
  c.splits = ceil_div(c.rows, c.split_rows);
  c.split_rows = ceil_div(c.rows, c.splits);
  c.splits = ceil_div(c.rows, c.split_rows);
  c.channels = std::max(kGroupedChannels,
                        round_up(ceil_div(g.channels, ceil_div(kGroupedJobs, c.splits)), 16));
  c.channel_blocks = ceil_div(g.channels, c.channels);
  const int64_t row_bytes =
      (g.grid_w + g.step_h * g.in_w) * std::min(c.channels, g.channels) * element_bytes;
  c.block_rows = std::clamp<int64_t>(kGroupedBytes / std::max<int64_t>(1, row_bytes), 1, g.grid_h);
  return c;
}

// sums: laid out as a packed weight. Bits depend on the shape alone.
template <class T>
void run_grouped_gradient(ExecContext& context, const DepthwiseGrid& g, int64_t group, const T* in,
                          const T* dy, typename ParameterOf<T>::type* sums, int64_t size) {
  using P = typename ParameterOf<T>::type;
  std::fill_n(sums, size, P(0));
  if (g.batch * g.grid_h * g.grid_w == 0) return;
  const GroupedKernels<T>& kernels = grouped_kernels_for<T>(context);
  const GroupedCut cut = grouped_cut(g, sizeof(P));
  const Scratch<P> rest((cut.splits - 1) * size);  // the first split's sums are the result's
  std::fill_n(rest.data(), (cut.splits - 1) * size, P(0));
  const int64_t taps = std::ssize(g.rows) * std::ssize(g.columns);
  context.parallel_for(cut.splits * cut.channel_blocks, [&](int64_t job) {
    const int64_t split = job / cut.channel_blocks,
                  channel = job % cut.channel_blocks * cut.channels,
                  channels = std::min(cut.channels, g.channels - channel);
    GroupedInput<T> input(kernels, g, in, channel, channels, cut.block_rows);
    std::vector<GroupedRun<T>> runs;
    P* to = (split == 0 ? sums : rest.data() + (split - 1) * size) + channel * taps * group;
    const int64_t end = std::min(cut.rows, (split + 1) * cut.split_rows);
    for (int64_t row = split * cut.split_rows; row < end; row += cut.block_rows)
      for_samples(g, row, std::min(end, row + cut.block_rows),
                  [&](int64_t n, int64_t first, int64_t count) {
                    input.load(n, first, count);
                    runs.clear();
                    for (int64_t i = 0; i < count; ++i)
                      runs.push_back({input.rows(i),
                                      dy + n * g.out_sample + (first + i) * g.out_row + channel});
                    kernels.gradient({runs.data(), count, std::ssize(g.rows), std::ssize(g.columns),
                                      input.tap_step(), g.step_w * input.step(), g.out_pixel,
                                      g.grid_w, channels, group, to});
                  });
  });
  constexpr int64_t part = 4096;
  context.parallel_for(ceil_div(size, part), [&](int64_t job) {
    const int64_t end = std::min(size, (job + 1) * part);
    for (int64_t split = 1; split < cut.splits; ++split)
      for (int64_t i = job * part; i < end; ++i) sums[i] += rest.data()[(split - 1) * size + i];
  });
}

// A phase of backward-data, and its taps; the columns ascend, so that neighbouring pixels share
// their input.
struct GroupedPhase {
  DepthwiseGrid grid;
  GroupedTaps taps;
};
std::vector<GroupedPhase> grouped_data_phases(const ConvShape& shape, const Tensor& weight) {
  const WeightStrides strides(weight);
  std::vector<GroupedPhase> phases;
  for (DepthwisePhase& phase : depthwise_data_phases(shape)) {
    const int64_t columns = std::ssize(phase.grid.columns);
    std::reverse(phase.grid.columns.begin(), phase.grid.columns.end());
    GroupedTaps taps{{}, true};
    for (int64_t t = 0; t < std::ssize(phase.taps); ++t) {
      const int64_t tap =
          phase.taps[static_cast<size_t>(t - t % columns + columns - 1 - t % columns)];
      taps.offsets.push_back(tap / shape.s * strides.r + tap % shape.s * strides.s);
    }
    phases.push_back({std::move(phase.grid), std::move(taps)});
  }
  return phases;
}

template <class T>
void grouped_forward_of(ExecContext& context, const ops::FusedConvForwardArgs& args,
                        const BlockMoments<typename ParameterOf<T>::type>* moments = nullptr) {
  using P = typename ParameterOf<T>::type;
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv);
  const EnginePackedWeight<P> own(kernel_table_for<P>(context));
  const auto* packed = dynamic_cast<const EnginePackedWeight<P>*>(args.packed);
  if (!packed || !packed->is_for(kernel_table_for<P>(context))) packed = &own;
  const std::optional<MapAttributes> map = engine_map(args.attributes);
  run_grouped<T>(
      context,
      {depthwise_forward_grid(shape), image_data<T>(args.x),
       packed->by_group(context, shape, args.weight, grouped_kernels_for<T>(context).lanes),
       args.bias ? args.bias->data<P>() : nullptr,
       args.residual ? image_data<T>(*args.residual) : nullptr, mutable_image_data<T>(args.y),
       engine_activation(args.attributes.activation), map ? &*map : nullptr, moments},
      shape.group_c());
}

template <class T>
void grouped_data_of(ExecContext& context, ops::ConvBackwardDataArgs& args, bool is_added) {
  using P = typename ParameterOf<T>::type;
  const ConvShape shape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes);
  const int lanes = grouped_kernels_for<T>(context).lanes;
  const Scratch<P> packed(grouped_weight_size(shape, lanes));
  T* dx = mutable_image_data<T>(args.dx);
  for (GroupedPhase& phase : grouped_data_phases(shape, args.weight)) {
    if (phase.taps.offsets.empty() && is_added) continue;
    pack_grouped(context, shape, args.weight, phase.taps, lanes, packed.data());
    run_grouped<T>(context,
                   {std::move(phase.grid), image_data<T>(args.dy), packed.data(), nullptr,
                    is_added ? dx : nullptr, dx, Activation::none},
                   shape.group_c());
  }
}

template <class T>
void grouped_weight_of(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  using P = typename ParameterOf<T>::type;
  if constexpr (!std::is_same_v<T, Bf16>)
    if (args.dbias)
      column_sums<T>(context, kernel_table_for<T>(context), args.dy.data<T>(),
                     args.dy.numel() / args.dy.size(1), args.dy.size(1),
                     args.dbias->mutable_data<T>());
  Tensor& dweight = *args.dweight;
  if (dweight.numel() == 0) return;
  const ConvShape shape(args.x.shape(), dweight.shape(), args.dy.shape(), args.attributes);
  const int lanes = grouped_kernels_for<T>(context).lanes;
  const int64_t size = grouped_weight_size(shape, lanes), group = shape.group_c();
  const Scratch<P> sums(size);
  run_grouped_gradient<T>(context, depthwise_forward_grid(shape), group, image_data<T>(args.x),
                          image_data<T>(args.dy), sums.data(), size);
  const WeightStrides strides(dweight);
  const GroupedTaps taps = grouped_forward_taps(shape, dweight);
  P* out = dweight.mutable_data<P>();
  context.parallel_for(ceil_div(shape.k, lanes), [&](int64_t v) {
    const P* from = sums.data() + v * std::ssize(taps.offsets) * group * lanes;
    for (const int64_t tap : taps.offsets)
      for (int64_t j = 0; j < group; ++j, from += lanes)
        for (int64_t l = 0; l < std::min<int64_t>(lanes, shape.k - v * lanes); ++l)
          out[(v * lanes + l) * strides.k + j * strides.c + tap] = from[l];
  });
}

// What all passes ask: the image before and behind the convolution.
const char* declines_grouped_images(const ExecContext& context, const Tensor& in, const Tensor& out,
                                    const Shape& weight, const ops::ConvAttributes& attributes) {
  const DType dtype = in.dtype();
  if (!is_image_dtype(dtype) || out.dtype() != dtype) return "only f32, f64 and bf16";
  if (!is_nhwc(in) || !is_nhwc(out)) return "memory order is not channels_last";
  const ConvShape shape(in.shape(), weight, out.shape(), attributes);
  const int lanes = dtype == DType::f64 ? grouped_kernels_for<double>(context).lanes
                                        : grouped_kernels_for<float>(context).lanes;
  return has_narrow_groups(shape, lanes) ? nullptr : "not narrow groups of equal width";
}

const char* declines_grouped_fused(const ExecContext& context,
                                   const ops::FusedConvForwardArgs& args) {
  const DType dtype = args.x.dtype();
  if (const char* reason = declines_grouped_images(context, args.x, args.y, args.weight.shape(),
                                                   args.attributes.conv))
    return reason;
  if (args.residual && (!is_nhwc(*args.residual) || args.residual->dtype() != dtype))
    return "the residual has another dtype or memory order";
  if (args.weight.dtype() != parameter_dtype(dtype)) return "the weight has another dtype";
  if (args.bias && args.bias->dtype() != parameter_dtype(dtype))
    return "the bias has another dtype";
  return declines_map(dtype, args.attributes);
}
void grouped_fused(ExecContext& context, ops::FusedConvForwardArgs& args) {
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { grouped_forward_of<decltype(zero)>(context, args); });
}

const char* declines_grouped_plain(const ExecContext& context, const ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  return declines_grouped_fused(
      context, {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
}
void grouped_plain(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  ops::FusedConvForwardArgs fused{args.x,  args.weight, nullptr, args.bias,
                                  nullptr, attributes,  args.y};
  grouped_fused(context, fused);
}

const char* declines_grouped_statistics(const ExecContext& context,
                                        const ops::ConvForwardStatisticsArgs& args) {
  if (const char* reason = declines_grouped_plain(
          context, {args.x, args.weight, args.bias, args.attributes, args.y}))
    return reason;
  if (args.y.numel() == 0) return "no elements";
  const DType dtype = parameter_dtype(args.y.dtype());
  return args.mean.dtype() == dtype && args.variance.dtype() == dtype
             ? nullptr
             : "statistics of another dtype";
}
void grouped_statistics(ExecContext& context, ops::ConvForwardStatisticsArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes);
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using P = typename ParameterOf<T>::type;
    const BlockMoments<P> moments(args.y.numel() / args.y.size(1),
                                  depthwise_block_rows(depthwise_forward_grid(shape)),
                                  args.y.size(1));
    grouped_forward_of<T>(
        context, {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y}, &moments);
    moments.join(context, args.mean.mutable_data<P>(), args.variance.mutable_data<P>());
  });
}

const char* declines_grouped_data(const ExecContext& context,
                                  const ops::ConvBackwardDataArgs& args) {
  if (const char* reason =
          declines_grouped_images(context, args.dx, args.dy, args.weight.shape(), args.attributes))
    return reason;
  return args.weight.dtype() == parameter_dtype(args.dx.dtype()) ? nullptr
                                                                 : "the weight has another dtype";
}
void grouped_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_image_dtype(args.dx.dtype(),
                    [&](auto zero) { grouped_data_of<decltype(zero)>(context, args, false); });
}
void grouped_data_added(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_image_dtype(args.dx.dtype(),
                    [&](auto zero) { grouped_data_of<decltype(zero)>(context, args, true); });
}

const char* declines_grouped_weight(const ExecContext& context,
                                    const ops::ConvBackwardWeightArgs& args) {
  if (!args.dweight) return "only the bias's gradient is wanted";
  if (const char* reason =
          declines_grouped_images(context, args.x, args.dy, args.dweight->shape(), args.attributes))
    return reason;
  if (args.dbias && args.dbias->dtype() != args.dy.dtype()) return "dbias has another dtype";
  return args.dweight->dtype() == parameter_dtype(args.x.dtype()) ? nullptr
                                                                  : "dweight has another dtype";
}
void grouped_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { grouped_weight_of<decltype(zero)>(context, args); });
}

}  // namespace

GroupedTaps grouped_forward_taps(const ConvShape& shape, const Tensor& weight) {
  const WeightStrides strides(weight);
  GroupedTaps taps;
  for (int64_t r = 0; r < shape.r; ++r)
    for (int64_t s = 0; s < shape.s; ++s) taps.offsets.push_back(r * strides.r + s * strides.s);
  return taps;
}

bool has_narrow_groups(const ConvShape& shape, int lanes) {
  const int64_t group = shape.group_c();
  return shape.groups > 1 && group == shape.group_k() && group > 1 && lanes % group == 0;
}

int64_t grouped_weight_size(const ConvShape& shape, int lanes) {
  return round_up(shape.k, lanes) * shape.r * shape.s * shape.group_c();
}

template <class P>
void pack_grouped(ExecContext& context, const ConvShape& shape, const Tensor& weight,
                  const GroupedTaps& taps, int lanes, P* to) {
  const WeightStrides strides(weight);
  const P* in = weight.data<P>();
  const int64_t group = shape.group_c(), along = taps.transposed ? strides.c : strides.k,
                across = taps.transposed ? strides.k : strides.c;
  context.parallel_for(ceil_div(shape.k, lanes), [&](int64_t v) {
    P* out = to + v * std::ssize(taps.offsets) * group * lanes;
    for (const int64_t offset : taps.offsets)
      for (int64_t j = 0; j < group; ++j)
        for (int64_t l = 0; l < lanes; ++l) {
          const int64_t c = v * lanes + l, first = c - c % group;
          *out++ =
              c < shape.k ? in[first * strides.k + c % group * along + j * across + offset] : P(0);
        }
  });
}
template void pack_grouped(ExecContext&, const ConvShape&, const Tensor&, const GroupedTaps&, int,
                           float*);
template void pack_grouped(ExecContext&, const ConvShape&, const Tensor&, const GroupedTaps&, int,
                           double*);

void register_grouped(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv) {
  conv.forward.add({"cpu_grouped", declines_grouped_plain, grouped_plain});
  conv.forward_statistics.add({"cpu_grouped", declines_grouped_statistics, grouped_statistics});
  fused_conv.forward.add({"cpu_grouped", declines_grouped_fused, grouped_fused});
  conv.backward_data.add({"cpu_grouped", declines_grouped_data, grouped_data});
  conv.backward_data_added.add({"cpu_grouped", declines_grouped_data, grouped_data_added});
  conv.backward_weight.add({"cpu_grouped", declines_grouped_weight, grouped_weight});
}

}  // namespace graft::cpu
