// Convolution's backward-weight: dweight[k, (r, s, c)] = sum over pixels of dy[pixel, k] * x[pixel
// under tap (r, s), c], as outer products. Pixels are cut into splits by the shape alone; their
// sums are combined in a fixed order.
#include <algorithm>

#include "graft/kernels/cpu/column_sums.h"
#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {
namespace {

template <class T>
constexpr int64_t kPixels =
    sizeof(T) == 2 ? 512 : 256;    // packed at a time: dy's block (256 KiB at kOutputs) stays in L2
constexpr int64_t kOutputs = 264;  // most output channels of a job: a multiple of every set's tile
constexpr int64_t kColumns = 640;  // columns (r, s, c) of a job
constexpr int64_t kLeastPixels = 1024;              // of a split
constexpr int64_t kSplitBytes = int64_t{16} << 20;  // most memory for the splits' sums

// How the work is cut. `splits` decides the bits: it looks at nothing but the shape.
struct Cut {
  int64_t pixels, splits, split_pixels;
  int64_t columns;  // r * s * group_c
  int64_t outputs;  // of a block
  int64_t output_blocks, column_blocks;
  int64_t jobs(int64_t groups) const { return splits * groups * output_blocks * column_blocks; }
};

Cut cut(const ConvShape& shape, int64_t element_bytes) {
  Cut c{};
  c.pixels = shape.n * shape.p * shape.q;
  c.columns = shape.r * shape.s * shape.group_c();
  c.outputs = round_up(ceil_div(shape.group_k(), ceil_div(shape.group_k(), kOutputs)), 12);
  c.output_blocks = ceil_div(shape.group_k(), c.outputs);
  c.column_blocks = ceil_div(c.columns, kColumns);
  const int64_t jobs = shape.groups * c.output_blocks * c.column_blocks;
  const int64_t by_memory = kSplitBytes / std::max<int64_t>(1, shape.k * c.columns * element_bytes);
  c.splits = std::max<int64_t>(
      1, std::min({ceil_div(c.pixels, kLeastPixels), ceil_div(32, jobs), by_memory}));
  c.split_pixels = round_up(ceil_div(c.pixels, c.splits), 8);
  c.splits = std::max<int64_t>(1, ceil_div(c.pixels, c.split_pixels));
  return c;
}

// Rows of memory that the next products bring into the second-level cache, one line a step: what is
// packed after them. A product takes the same line of as many rows as it has steps.
class Ahead {
 public:
  Ahead(const void* first, int64_t rows, int64_t row_bytes, int64_t stride)
      : first_(static_cast<const char*>(first)),
        rows_(rows),
        stride_(stride),
        lines_(rows > 0 ? ceil_div(row_bytes, 64) : 0) {}
  template <class T>
  void give(OuterArgs<T>& args) {
    args.ahead = reinterpret_cast<const char*>(args.a), args.ahead_stride = 0;
    if (line_ == lines_) return;
    args.ahead = first_ + row_ * stride_ + 64 * line_, args.ahead_stride = stride_;
    row_ += args.length;
    if (row_ >= rows_) row_ = 0, ++line_;
  }

 private:
  const char* first_;
  int64_t rows_, stride_, lines_, row_ = 0, line_ = 0;
};

// x's part of an outer product: for a block of pixels, the input under the taps.
template <class T>
class InputColumns {
 public:
  InputColumns(const KernelTable<T>& table, const ConvShape& shape, const T* x, const T* zeros)
      : table_(table),
        shape_(shape),
        x_(x),
        zeros_(zeros),
        gathers_(shape.group_c() < table.nr && shape.r * shape.s > 1),
        columns_(shape.r * shape.s * shape.group_c()),
        rows_(kPixels<T>),
        origin_(3 * kPixels<T>),
        windows_(gathers_ ? kPixels<T> * round_up(columns_, table.nr) : 0),
        panel_(kPixels<T> * table.nr) {}

  // The pixels that the next calls are about, and the first channel of the group.
  void set_pixels(int64_t first, int64_t count, int64_t channel) {
    count_ = count, channel_ = channel, tap_ = -1;
    const int64_t plane = shape_.p * shape_.q;
    int64_t n = first / plane, row = first % plane / shape_.q, column = first % shape_.q;
    for (int64_t i = 0; i < count; ++i) {
      int64_t* origin = origin_.data() + 3 * i;
      origin[0] = n * shape_.h;
      origin[1] = row * shape_.stride_h - shape_.pad_h;
      origin[2] = column * shape_.stride_w - shape_.pad_w;
      if (++column == shape_.q) {
        column = 0;
        if (++row == shape_.p) row = 0, ++n;
      }
    }
    if (gathers_) gather();
  }

  // Calls f(first column, columns, b, b_stride) for the panels that start in [begin, end).
  template <class F>
  void for_panels(int64_t begin, int64_t end, F&& f) {
    const int64_t nr = table_.nr;
    if (gathers_) {
      const int64_t width = round_up(columns_, nr);
      for (int64_t j = round_up(begin, nr); j < end; j += nr) {
        if (table_.k_step == 1) {
          f(j, std::min(nr, columns_ - j), windows_.data() + j, width);
          continue;
        }
        for (int64_t i = 0; i < count_; ++i) rows_.data()[i] = windows_.data() + i * width + j;
        table_.pack_rows(rows_.data(), count_, nr, panel_.data());
        f(j, std::min(nr, columns_ - j), panel_.data(), table_.k_step * nr);
      }
      return;
    }
    const int64_t channels = shape_.group_c();
    for (int64_t tap = begin / channels; tap < ceil_div(end, channels); ++tap)
      for (int64_t c = 0; c < channels; c += nr) {
        const int64_t column = tap * channels + c;
        if (column < begin || column >= end) continue;
        point_at(tap, c);
        table_.pack_rows(rows_.data(), count_, std::min(nr, channels - c), panel_.data());
        f(column, std::min(nr, channels - c), panel_.data(), table_.k_step * nr);
      }
  }

 private:
  const T* pixel(int64_t i, int64_t r, int64_t s) const {
    const int64_t* origin = origin_.data() + 3 * i;
    const int64_t h = origin[1] + r * shape_.dilation_h, w = origin[2] + s * shape_.dilation_w;
    if (h < 0 || h >= shape_.h || w < 0 || w >= shape_.w) return zeros_;
    return x_ + ((origin[0] + h) * shape_.w + w) * shape_.c + channel_;
  }

  void point_at(int64_t tap, int64_t c) {
    const int64_t r = tap / shape_.s, s = tap % shape_.s;
    for (int64_t i = 0; i < count_; ++i)
      rows_.data()[i] = tap == tap_ ? rows_.data()[i] + (c - tap_channel_) : pixel(i, r, s) + c;
    tap_ = tap, tap_channel_ = c;
  }

  // Few channels: every pixel's whole window, row after row.
  void gather() {
    const int64_t width = round_up(columns_, table_.nr);
    for (int64_t i = 0; i < count_; ++i) {
      T* to = windows_.data() + i * width;
      for (int64_t r = 0; r < shape_.r; ++r) to = gather_row(i, r, to);
      std::fill(to, windows_.data() + (i + 1) * width, T(0));
    }
  }

  // The taps of one filter row: one run of memory where the whole of it lies inside of the image.
  T* gather_row(int64_t i, int64_t r, T* to) const {
    const int64_t channels = shape_.group_c(), run = shape_.s * channels,
                  w = origin_.data()[3 * i + 2];
    if (shape_.dilation_w == 1 && shape_.groups == 1 && w >= 0 && w + shape_.s <= shape_.w) {
      const T* from = pixel(i, r, 0);
      if (from == zeros_)
        std::fill_n(to, run, T(0));
      else
        std::copy_n(from, run, to);
      return to + run;
    }
    for (int64_t s = 0; s < shape_.s; ++s, to += channels) {
      const T* from = pixel(i, r, s);
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c];
    }
    return to;
  }

  const KernelTable<T>& table_;
  const ConvShape& shape_;
  const T* x_;
  const T* zeros_;
  bool gathers_;
  int64_t columns_;
  Scratch<const T*> rows_;
  Scratch<int64_t> origin_;  // [pixel]: first row of its sample in x, row and column of its window
  Scratch<T> windows_;       // [pixel][columns], of few channels
  Scratch<T> panel_;
  int64_t count_ = 0, channel_ = 0, tap_ = -1, tap_channel_ = 0;
};

template <class T>
struct Problem {
  const KernelTable<T>& table;
  ConvShape shape;
  Cut cut;
  const T* x;
  const T* dy;
  const T* zeros;
  typename ParameterOf<T>::type* sums;  // [splits][K][columns]
};

template <class T>
void run_job(const Problem<T>& p, int64_t job) {
  const int64_t column_block = job % p.cut.column_blocks,
                output_block = job / p.cut.column_blocks % p.cut.output_blocks;
  const int64_t group = job / (p.cut.column_blocks * p.cut.output_blocks) % p.shape.groups;
  const int64_t split = job / (p.cut.column_blocks * p.cut.output_blocks * p.shape.groups);
  const int64_t first_output = output_block * p.cut.outputs,
                outputs = std::min(p.cut.outputs, p.shape.group_k() - first_output);
  const int64_t k = group * p.shape.group_k() + first_output;
  const int64_t first_column = column_block * kColumns,
                last_column = std::min(p.cut.columns, first_column + kColumns);
  const int64_t begin = split * p.cut.split_pixels,
                end = std::min(p.cut.pixels, begin + p.cut.split_pixels);
  const int64_t mr = p.table.mr;

  const int64_t tile_stride = kPixels<T> * mr + tile_gap;
  const Scratch<T> tiles(ceil_div(outputs, mr) * tile_stride);
  InputColumns<T> input(p.table, p.shape, p.x, p.zeros);
  for (int64_t at = begin; at < end; at += kPixels<T>) {
    const int64_t count = std::min(kPixels<T>, end - at);
    p.table.pack_tiles(p.dy + at * p.shape.k + k, p.shape.k, count, outputs, tiles.data(),
                       tile_stride);
    input.set_pixels(at, count, group * p.shape.group_c());
    const int64_t size = sizeof(T);
    Ahead ahead(p.dy + (at + count) * p.shape.k + k, std::min(kPixels<T>, end - at - count),
                outputs * size, p.shape.k * size);
    input.for_panels(first_column, last_column,
                     [&](int64_t column, int64_t columns, const T* b, int64_t b_stride) {
                       OuterArgs<T> outer{};
                       outer.a_stride = p.table.k_step * mr, outer.b = b, outer.b_stride = b_stride,
                       outer.length = ceil_div(count, p.table.k_step);
                       outer.out_stride = p.cut.columns, outer.columns = columns,
                       outer.accumulate = at > begin;
                       auto* out = p.sums + (split * p.shape.k + k) * p.cut.columns + column;
                       for (int64_t m = 0; m < outputs; m += mr) {
                         outer.a = tiles.data() + m / mr * tile_stride;
                         outer.out = out + m * p.cut.columns;
                         ahead.give(outer);
                         p.table.outer[std::min(mr, outputs - m)](outer);
                       }
                     });
  }
}

// Stores one output channel's [r, s, c] in the weight's order; taps that were left out are zero.
template <class T>
void store_channel(const Problem<T>& p, const typename ParameterOf<T>::type* sum,
                   const Tensor& dweight, typename ParameterOf<T>::type* out) {
  const int64_t channels = p.shape.group_c(), taps = p.shape.r * p.shape.s, width = dweight.size(3),
                all = dweight.size(2) * width;
  const bool taps_first = dweight.format() == MemoryFormat::channels_last || all == 1;
  if (taps == all) {
    if (taps_first)
      std::copy_n(sum, taps * channels, out);
    else
      sum_table(p.table).transpose(sum, channels, taps, channels, out, taps);
    return;
  }
  std::fill_n(out, all * channels, typename ParameterOf<T>::type(0));
  for (int64_t r = 0; r < p.shape.r; ++r)
    for (int64_t s = 0; s < p.shape.s; ++s, sum += channels) {
      const int64_t tap = (p.shape.first_r + r) * width + p.shape.first_s + s;
      if (taps_first)
        std::copy_n(sum, channels, out + tap * channels);
      else
        for (int64_t c = 0; c < channels; ++c) out[c * all + tap] = sum[c];
    }
}

// Adds the splits of one output channel, then stores it.
template <class T>
void combine(const Problem<T>& p, int64_t k, const Tensor& dweight,
             typename ParameterOf<T>::type* out) {
  const int64_t columns = p.cut.columns;
  auto* sum = p.sums + k * columns;
  for (int64_t split = 1; split < p.cut.splits; ++split)
    sum_table(p.table).add_rows(p.sums + (split * p.shape.k + k) * columns, columns, 1, columns,
                                sum);
  store_channel(p, sum, dweight, out + k * (dweight.numel() / p.shape.k));
}

template <class T>
void dweight_of(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  using P = typename ParameterOf<T>::type;
  Tensor& dweight = *args.dweight;
  if (dweight.numel() == 0) return;
  const ConvShape shape =
      ConvShape(args.x.shape(), dweight.shape(), args.dy.shape(), args.attributes)
          .without_idle_taps();
  const Cut c = cut(shape, sizeof(P));
  const Scratch<T> zeros(shape.group_c() + max_tile_rows);
  std::fill_n(zeros.data(), shape.group_c(), T(0));
  P* out = dweight.mutable_data<P>();
  // One split of a weight whose order is the sums' own: nothing is left to combine.
  const bool direct = c.splits == 1 && c.pixels > 0 &&
                      shape.r * shape.s == dweight.size(2) * dweight.size(3) &&
                      (dweight.format() == MemoryFormat::channels_last || shape.r * shape.s == 1);
  const Scratch<P> sums(direct ? 0 : c.splits * shape.k * c.columns);
  if (c.pixels == 0) std::fill_n(sums.data(), shape.k * c.columns, P(0));
  const Problem<T> problem{kernel_table_for<T>(context),
                           shape,
                           c,
                           image_data<T>(args.x),
                           image_data<T>(args.dy),
                           zeros.data(),
                           direct ? out : sums.data()};
  context.parallel_for(c.jobs(shape.groups), [&](int64_t job) { run_job(problem, job); });
  if (!direct) context.parallel_for(shape.k, [&](int64_t k) { combine(problem, k, dweight, out); });
}

template <class T>
void dbias_of(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  const KernelTable<T>& table = kernel_table_for<T>(context);
  const int64_t channels = args.dy.shape()[1],
                pixels = args.dy.shape()[0] * args.dy.shape()[2] * args.dy.shape()[3];
  column_sums<T>(context, table, image_data<T>(args.dy), pixels, channels,
                 args.dbias->mutable_data<typename ParameterOf<T>::type>());
}

const char* declines(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  if (args.dweight && args.dweight->dtype() != args.dy.dtype()) return "dweight has another dtype";
  if (args.dbias && args.dbias->dtype() != args.dy.dtype()) return "dbias has another dtype";
  return engine_declines_conv(args.dweight ? args.x : args.dy, args.dy, nullptr);
}

template <class T>
void run_backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  if (args.dbias) dbias_of<T>(context, args);
  if (args.dweight) dweight_of<T>(context, args);
}
void backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  visit_engine_dtype(args.dy.dtype(),
                     [&](auto zero) { run_backward_weight<decltype(zero)>(context, args); });
}

const char* declines_bf16(const ExecContext& context, const ops::ConvBackwardWeightArgs& args) {
  if (!has_bf16(context)) return "the instruction set has no bfloat16";
  if (args.dy.dtype() != DType::bf16 || (args.dweight && args.x.dtype() != DType::bf16))
    return "only bf16 images";
  if ((args.dweight && args.dweight->dtype() != DType::f32) ||
      (args.dbias && args.dbias->dtype() != DType::f32))
    return "only f32 gradients";
  return args.dy.rank() != 4 || !is_nhwc(args.x) || !is_nhwc(args.dy)
             ? "memory order is not channels_last"
             : nullptr;
}

}  // namespace

void conv_backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs args) {
  backward_weight(context, args);
}

void register_conv_backward_weight(ops::ConvKernels& kernels) {
  kernels.backward_weight.add({"cpu_avx512_bf16", declines_bf16, run_backward_weight<Bf16>});
  kernels.backward_weight.add({"cpu_nhwc", declines, backward_weight});
}

}  // namespace graft::cpu
