// Convolution's backward-weight by Winograd's F(4x4, 3x3) transposed: 36 products a tile of 4 x 4
// outputs in place of 144. Blocks of tiles are transformed, then every frequency is an outer
// product over the block's tiles, added up in the order of the tiles: bits do not depend on the
// threads.
//
// Error: with images and gradients of order one a weight's gradient differs from the exact one by
// at most 4e-5 of the largest (the direct kernels: 1e-5); tests/kernels/winograd_test.cpp holds it
// to that.
#include <algorithm>

#include "graft/core/base/environment.h"
#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {
namespace {

constexpr int64_t kSide = 4, kWindow = 6, kProducts = 36;
constexpr int64_t kPad = 16;  // elements between rows: they start in different sets of the caches
constexpr int64_t kTransformedBytes = int64_t{8}
                                      << 20;  // of a block of tiles, images and gradients
constexpr int64_t kSumBytes = int64_t{10}
                              << 20;  // of the products that a pass over the tiles adds up
constexpr int64_t kLeastTiles = 48;   // below, reading and writing the sums outweighs what is saved

struct GradientTiles {
  ConvShape shape;
  int64_t tiles_h, tiles_w, tiles;  // tiles: of the whole batch
  int64_t block;                    // tiles transformed at a time
  int64_t x_row, dy_row,
      sum_row;  // elements from tile to tile, and from output channel to output channel in the sums
  int64_t outputs;  // channels of a pass, a multiple of every set's tile

  GradientTiles(const ConvShape& s, int64_t nr) : shape(s) {
    tiles_h = ceil_div(s.p, kSide), tiles_w = ceil_div(s.q, kSide), tiles = s.n * tiles_h * tiles_w;
    x_row = sum_row = round_up(s.c, nr) + kPad, dy_row = round_up(s.k, nr) + kPad;
    const int64_t most = std::max<int64_t>(
        32,
        kTransformedBytes / (kProducts * (x_row + dy_row) * static_cast<int64_t>(sizeof(float))));
    block = ceil_div(tiles, ceil_div(tiles, most));
    const int64_t fit = std::max<int64_t>(
        12, kSumBytes / (kProducts * sum_row * static_cast<int64_t>(sizeof(float))) / 12 * 12);
    outputs = std::min(s.k, round_up(ceil_div(s.k, ceil_div(s.k, fit)), 12));
  }
};

class WinogradGradient {
 public:
  WinogradGradient(ExecContext& context, const ops::ConvBackwardWeightArgs& args,
                   const ConvShape& shape)
      : context_(context),
        table_(kernel_table_for<float>(context)),
        g_(shape, table_.nr),
        x_(args.x.data<float>()),
        dy_(args.dy.data<float>()),
        x_frequency_(g_.block * g_.x_row + kPad),
        dy_frequency_(g_.block * g_.dy_row + kPad),
        sum_frequency_(g_.outputs * g_.sum_row + kPad),
        zeros_(std::max(shape.c, shape.k)),
        x_tiles_(kProducts * x_frequency_),
        dy_tiles_(kProducts * dy_frequency_),
        sums_(kProducts * sum_frequency_) {
    std::fill_n(zeros_.data(), std::max(shape.c, shape.k), 0.0F);
  }

  void operator()(Tensor& dweight) {
    float* out = dweight.mutable_data<float>();
    const bool taps_first = dweight.format() == MemoryFormat::channels_last;
    for (int64_t k = 0; k < g_.shape.k; k += g_.outputs) {
      const int64_t outputs = std::min(g_.outputs, g_.shape.k - k);
      for (int64_t at = 0; at < g_.tiles; at += g_.block) {
        const int64_t count = std::min(g_.block, g_.tiles - at);
        if (k == 0 || g_.block < g_.tiles) transform(at, count);
        add_products(k, outputs, count, at > 0);
      }
      context_.parallel_for(
          outputs, [&](int64_t i) { store(i, out + (k + i) * 9 * g_.shape.c, taps_first); });
    }
  }

 private:
  void transform(int64_t first, int64_t count) {
    constexpr int64_t step = 4;  // tiles of a job
    context_.parallel_for(ceil_div(count, step), [&](int64_t job) {
      for (int64_t t = job * step; t < std::min(count, (job + 1) * step); ++t)
        transform_tile(first + t, t);
    });
  }

  void transform_tile(int64_t tile, int64_t t) {
    const ConvShape& s = g_.shape;
    const int64_t each = g_.tiles_h * g_.tiles_w, n = tile / each;
    const int64_t row = tile % each / g_.tiles_w * kSide, column = tile % g_.tiles_w * kSide;
    const float* pixels[kProducts];
    for (int64_t i = 0; i < kWindow; ++i)
      for (int64_t j = 0; j < kWindow; ++j) {
        const int64_t h = row + i - s.pad_h, w = column + j - s.pad_w;
        const bool inside = h >= 0 && h < s.h && w >= 0 && w < s.w;
        pixels[i * kWindow + j] = inside ? x_ + ((n * s.h + h) * s.w + w) * s.c : zeros_.data();
      }
    table_.winograd.input(pixels, s.c, x_tiles_.data() + t * g_.x_row, x_frequency_);
    for (int64_t i = 0; i < kSide; ++i)
      for (int64_t j = 0; j < kSide; ++j)
        pixels[i * kSide + j] = row + i < s.p && column + j < s.q
                                    ? dy_ + ((n * s.p + row + i) * s.q + column + j) * s.k
                                    : zeros_.data();
    table_.winograd_gradient.gradient(pixels, s.k, dy_tiles_.data() + t * g_.dy_row, dy_frequency_);
  }

  void add_products(int64_t first_output, int64_t outputs, int64_t tiles, bool accumulate) {
    constexpr int64_t part = 132;  // output channels of a job
    const int64_t parts = ceil_div(outputs, part);
    context_.parallel_for(kProducts * parts, [&](int64_t job) {
      const int64_t f = job / parts, begin = job % parts * part,
                    end = std::min(outputs, begin + part);
      OuterArgs<float> outer{};
      outer.a_stride = g_.dy_row, outer.b_stride = g_.x_row, outer.length = tiles;
      outer.out_stride = g_.sum_row, outer.accumulate = accumulate;
      for (int64_t c = 0; c < g_.shape.c; c += table_.nr) {
        outer.columns = std::min<int64_t>(table_.nr, g_.shape.c - c);
        outer.b = x_tiles_.data() + f * x_frequency_ + c;
        for (int64_t m = begin; m < end; m += table_.mr) {
          outer.a = dy_tiles_.data() + f * dy_frequency_ + first_output + m;
          outer.ahead =
              reinterpret_cast<const char*>(outer.a);  // nothing: what comes next is in the cache
          outer.out = sums_.data() + f * sum_frequency_ + m * g_.sum_row + c;
          table_.outer[std::min<int64_t>(table_.mr, end - m)](outer);
        }
      }
    });
  }

  // One output channel's nine taps, in the weight's order.
  void store(int64_t i, float* out, bool taps_first) {
    const int64_t channels = g_.shape.c;
    const float* sums = sums_.data() + i * g_.sum_row;
    if (taps_first) {
      table_.winograd_gradient.taps(sums, sum_frequency_, channels, out, channels);
      return;
    }
    const Scratch<float> taps(9 * channels);
    table_.winograd_gradient.taps(sums, sum_frequency_, channels, taps.data(), channels);
    table_.transpose(taps.data(), channels, 9, channels, out, 9);
  }

  ExecContext& context_;
  const KernelTable<float>& table_;
  GradientTiles g_;
  const float* x_;
  const float* dy_;
  int64_t x_frequency_, dy_frequency_, sum_frequency_;  // elements from one frequency to the next
  Scratch<float> zeros_;
  Scratch<float> x_tiles_, dy_tiles_;  // [frequency][tile][channel]
  Scratch<float> sums_;                // [frequency][output channel][channel]
};

const char* declines_gradient(const ExecContext&, const ops::ConvBackwardWeightArgs& args) {
  static const bool off = environment("GRAFT_WINOGRAD") == "off";
  if (off) return "GRAFT_WINOGRAD=off";
  if (!args.dweight) return "no weight gradient is wanted";
  if (args.dweight->dtype() != DType::f32 || args.dy.dtype() != DType::f32 ||
      (args.dbias && args.dbias->dtype() != DType::f32))
    return "only f32";
  if (const char* reason = engine_declines_conv(args.x, args.dy, nullptr)) return reason;
  const ConvShape s(args.x.shape(), args.dweight->shape(), args.dy.shape(), args.attributes);
  if (s.r != 3 || s.s != 3 || s.stride_h != 1 || s.stride_w != 1 || s.dilation_h != 1 ||
      s.dilation_w != 1 || s.groups != 1)
    return "only 3x3 filters of stride 1, one group, not dilated";
  if (s.c < 32 || s.k < 32) return "too few channels";
  const int64_t tiles = ceil_div(s.p, kSide) * ceil_div(s.q, kSide);
  if (2 * s.p * s.q < tiles * kSide * kSide) return "tiles would be mostly empty";
  return s.n * tiles < kLeastTiles ? "too few tiles" : nullptr;
}

void run_gradient(ExecContext& context, ops::ConvBackwardWeightArgs& args) {
  if (args.dbias)
    conv_backward_weight(context, {args.x, args.dy, args.attributes, nullptr, args.dbias});
  const ConvShape shape(args.x.shape(), args.dweight->shape(), args.dy.shape(), args.attributes);
  WinogradGradient(context, args, shape)(*args.dweight);
}

}  // namespace

void register_winograd_backward_weight(ops::ConvKernels& kernels) {
  kernels.backward_weight.add({"cpu_winograd", declines_gradient, run_gradient});
}

}  // namespace graft::cpu
