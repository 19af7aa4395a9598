#include "graft/kernels/cpu/winograd.h"

#include <algorithm>
#include <numeric>

#include "graft/core/base/environment.h"

namespace graft::cpu {
namespace {

constexpr int64_t kOutputs = 4, kInputs = 6, kFrequencies = 36;
constexpr int64_t kGap =
    16;  // elements between frequencies: they start in different sets of the caches
constexpr int64_t kMostTransformed =
    int64_t{12} << 20;  // bytes of weights: they are read again for every block of tiles
constexpr int64_t kLeastPixels = 144;  // of an image: below, weights outweigh what is saved

// The image's tiles of 4 x 4 outputs, and how they are cut into jobs.
struct WinogradSchedule {
  int64_t tiles_h, tiles_w, tiles;  // tiles: of the whole batch
  int64_t block_tiles, blocks;
  int64_t panels, block_panels, panel_blocks;
};

WinogradSchedule winograd_schedule(const KernelTable<float>& table, const IndirectConv<float>& p,
                                   int threads) {
  WinogradSchedule s{};
  s.tiles_h = ceil_div(p.grid_h, kOutputs), s.tiles_w = ceil_div(p.grid_w, kOutputs);
  s.tiles = p.batch * s.tiles_h * s.tiles_w;
  const int64_t most = p.channels <= 64 ? 48 : 96;
  s.block_tiles = round_up(ceil_div(s.tiles, ceil_div(s.tiles, most)), table.mr);
  s.blocks = ceil_div(s.tiles, s.block_tiles);
  s.panels = ceil_div(p.out_channels, table.nr);
  s.panel_blocks = std::min(s.panels, ceil_div(4 * threads, s.blocks));
  if (threads == 1 || s.blocks >= 2 * threads) s.panel_blocks = 1;
  s.block_panels = ceil_div(s.panels, s.panel_blocks);
  s.panel_blocks = ceil_div(s.panels, s.block_panels);
  return s;
}

// One job's tiles: transforms of the input, products by frequency, transforms of the result.
class TileBlock {
 public:
  TileBlock(const KernelTable<float>& table, const IndirectConv<float>& problem,
            const WinogradSchedule& s, int64_t first, int64_t count, const float* zeros)
      : table_(table),
        p_(problem),
        s_(s),
        first_(first),
        count_(count),
        zeros_(zeros),
        v_stride_(count * problem.channels + kGap),
        v_(kFrequencies * v_stride_),
        rows_(count),
        offsets_(count) {}

  void transform_input() {
    const float* pixels[kFrequencies];
    for (int64_t t = 0; t < count_; ++t) {
      const Place at = place(t);
      const float* sample = p_.in + at.sample * p_.in_h * p_.in_w * p_.in_pixel;
      for (int64_t i = 0; i < kInputs; ++i)
        for (int64_t j = 0; j < kInputs; ++j) {
          const int64_t h = at.row + i + p_.taps.front().h, w = at.column + j + p_.taps.front().w;
          const bool inside = h >= 0 && h < p_.in_h && w >= 0 && w < p_.in_w;
          pixels[i * kInputs + j] = inside ? sample + (h * p_.in_w + w) * p_.in_pixel : zeros_;
        }
      table_.winograd.input(pixels, p_.channels, v_.data() + t * p_.channels, v_stride_);
      rows_.data()[t] = v_.data() + t * p_.channels;
    }
  }

  // Panels [first, last) of the output channels.
  void multiply_and_store(int64_t first_panel, int64_t last_panel) {
    const int64_t nr = table_.nr, width = (last_panel - first_panel) * nr,
                  m_stride = count_ * width + kGap;
    const Scratch<float> m(kFrequencies * m_stride);
    for (int64_t t = 0; t < count_; ++t) offsets_.data()[t] = t * width;
    const int64_t frequency = p_.channels * nr + kGap;
    TileArgs<float> tile{};
    tile.rows_stride = count_;
    tile.segments = 1;
    tile.length = p_.channels;
    tile.b_stride = tile.columns = nr;
    for (int64_t f = 0; f < kFrequencies; ++f) {
      tile.row_offset = f * v_stride_;
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        tile.b = p_.packed + (panel * kFrequencies + f) * frequency;
        tile.out = m.data() + f * m_stride + (panel - first_panel) * nr;
        for (int64_t t = 0; t < count_; t += table_.mr) {
          tile.rows = rows_.data() + t;
          tile.out_offsets = offsets_.data() + t;
          table_.tile[std::min<int64_t>(table_.mr, count_ - t)](tile);
        }
      }
    }
    const int64_t column = first_panel * nr;
    for (int64_t t = 0; t < count_; ++t)
      store_tile(t, m.data() + t * width, m_stride, column,
                 std::min(width, p_.out_channels - column));
  }

 private:
  struct Place {
    int64_t sample, row, column;  // of the tile's first output
  };
  Place place(int64_t t) const {
    const int64_t tile = first_ + t, each = s_.tiles_h * s_.tiles_w;
    return {tile / each, tile % each / s_.tiles_w * kOutputs, tile % s_.tiles_w * kOutputs};
  }

  void store_tile(int64_t t, const float* m, int64_t m_stride, int64_t column,
                  int64_t channels) const {
    const Place at = place(t);
    const int64_t offset =
        at.sample * p_.out_sample + at.row * p_.out_row + at.column * p_.out_pixel + column;
    WinogradOutputArgs<float> out{};
    out.m = m, out.m_stride = m_stride;
    out.out = p_.out + offset, out.out_row = p_.out_row, out.out_pixel = p_.out_pixel;
    out.rows = static_cast<int>(std::min(kOutputs, p_.grid_h - at.row));
    out.columns = static_cast<int>(std::min(kOutputs, p_.grid_w - at.column));
    out.channels = channels;
    out.bias = p_.bias ? p_.bias + column : nullptr;
    out.residual = p_.residual ? p_.residual + offset : nullptr;
    out.activation = p_.activation;
    table_.winograd.output(out);
  }

  const KernelTable<float>& table_;
  const IndirectConv<float>& p_;
  const WinogradSchedule& s_;
  int64_t first_, count_;
  const float* zeros_;
  int64_t v_stride_;
  Scratch<float> v_;  // [frequency][tile][channel]
  Scratch<const float*> rows_;
  Scratch<int64_t> offsets_;
};

}  // namespace

const char* winograd_declines(const ConvShape& s, DType dtype) {
  static const bool off = environment("GRAFT_WINOGRAD") == "off";
  if (off) return "GRAFT_WINOGRAD=off";
  if (dtype != DType::f32) return "only f32";
  if (s.r != 3 || s.s != 3 || s.stride_h != 1 || s.stride_w != 1 || s.dilation_h != 1 ||
      s.dilation_w != 1 || s.groups != 1)
    return "only 3x3 filters of stride 1, one group, not dilated";
  if (s.c < 32 || s.k < 32) return "too few channels";
  if (std::min(s.h * s.w, s.p * s.q) < kLeastPixels) return "the image is too small";
  return kFrequencies * s.c * s.k * static_cast<int64_t>(sizeof(float)) > kMostTransformed
             ? "the transformed weights are too large"
             : nullptr;
}

void sort_taps(IndirectConv<float>& problem, PackSource<float>& source) {
  std::vector<size_t> order(problem.taps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(problem.taps[a].h, problem.taps[a].w) <
           std::pair(problem.taps[b].h, problem.taps[b].w);
  });
  const auto taps = problem.taps;
  const auto offsets = source.tap_offsets;
  for (size_t i = 0; i < order.size(); ++i)
    problem.taps[i] = taps[order[i]], source.tap_offsets[i] = offsets[order[i]];
}

int64_t winograd_packed_size(const KernelTable<float>& table, const PackSource<float>& source) {
  return ceil_div(source.columns, table.nr) * kFrequencies * (source.channels * table.nr + kGap);
}

void winograd_pack(ExecContext& context, const KernelTable<float>& table,
                   const PackSource<float>& source, float* packed) {
  const Scratch<float> taps(packed_size(table, source));
  float* to = taps.data();
  pack<float>(context, table, std::span(&source, 1), std::span(&to, 1));
  const int64_t count = source.channels * table.nr, panels = ceil_div(source.columns, table.nr);
  context.parallel_for(panels, [&](int64_t panel) {
    table.winograd.weight(taps.data() + panel * 9 * count, count, count,
                          packed + panel * kFrequencies * (count + kGap), count + kGap);
  });
}

void winograd_run(ExecContext& context, const KernelTable<float>& table,
                  const IndirectConv<float>& problem) {
  if (problem.batch * problem.grid_h * problem.grid_w * problem.out_channels == 0) return;
  const WinogradSchedule s = winograd_schedule(table, problem, context.threads());
  const Scratch<float> zeros(problem.channels);
  std::fill_n(zeros.data(), problem.channels, 0.0F);
  context.parallel_for(s.blocks * s.panel_blocks, [&](int64_t job) {
    const int64_t first = job / s.panel_blocks * s.block_tiles,
                  panel = job % s.panel_blocks * s.block_panels;
    TileBlock block(table, problem, s, first, std::min(s.block_tiles, s.tiles - first),
                    zeros.data());
    block.transform_input();
    block.multiply_and_store(panel, std::min(s.panels, panel + s.block_panels));
  });
}

}  // namespace graft::cpu
