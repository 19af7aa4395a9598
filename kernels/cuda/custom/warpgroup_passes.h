// The products that a convolution's passes are, as WarpgroupProduct does them: which boxes a step's
// tiles come in.
#pragma once
#include "graft/kernels/cuda/custom/conv_geometry.h"
#include "graft/kernels/cuda/custom/pixel_boxes.h"
#include "graft/kernels/cuda/device/warpgroup_product.h"

namespace graft::cuda {

inline constexpr int kWarpgroupStep = 64;  // of the sum, and channels or pixels that a copy brings

// Pixels seen through a window times filters: y [pixels, K], or dx [pixels of a phase, C]. Steps
// are taps, and 64 channels in each.
template <class Output_, bool is_backward>
struct PixelsByFilters {
  static constexpr const char* name = is_backward ? "warpgroup backward-data" : "warpgroup forward";
  // The weight [k][tap][c] has a filter's channels beside each other: forward sums along them,
  // backward-data across.
  static constexpr bool a_by_steps = false, b_by_steps = is_backward;
  PixelWindow window;
  int chunks;                   // of 64 channels
  int first, r_apart, s_apart;  // taps of the filter under taps of the window
  Output_ output;
  template <class T, int columns, class Thread, class Array>
  GRAFT_HD void load(Thread& t, const gpu::TensorMap& pixels, const gpu::TensorMap& filters,
                     const Barriers& barriers, const Array& shared, const StagePlace& place,
                     const TensorTiles::Tile& tile, int step) const {
    const int tap = step / chunks, channel = step % chunks * kWarpgroupStep,
              r = tap / window.columns.taps, s = tap % window.columns.taps;
    copy_pixels<T>(t, pixels, barriers, place.barrier, shared, place.a,
                   window.place(channel, tile.row, r, s));
    const int of_filter = first + r * r_apart + s * s_apart;
    if constexpr (is_backward) {
      GRAFT_UNROLL
      for (int j = 0; j < columns / 64; ++j)
        copy_box<T>(t, filters, barriers, place.barrier, shared,
                    place.b + j * WarpgroupStage<columns>::box, tile.column + 64 * j, of_filter,
                    channel);
    } else {
      copy_box<T>(t, filters, barriers, place.barrier, shared, place.b, channel, of_filter,
                  tile.column);
    }
  }
};

// Parts of dweight [K, taps]: dy times pixels, summed over 64 pixels a step. Columns are taps, and
// in each its channels, filled up to whole tiles.
struct FiltersByTaps {
  static constexpr const char* name = "warpgroup backward-weight";
  static constexpr bool a_by_steps = true, b_by_steps = true;
  struct Output {
    Span<float> partial;  // [parts][elements of the weight]
    ConvGeometry shape;
    int64_t weight_size;
    int padded;  // columns of a tap
    template <int N>
    GRAFT_HD void store(int part, int64_t filter, int64_t column, const float (&v)[N]) const {
      const int tap = static_cast<int>(column) / padded,
                channel = static_cast<int>(column) % padded, across = static_cast<int>(shape.s);
      if (channel >= shape.c) return;
      const int64_t first =
          part * weight_size + shape.weight_at(filter, {tap / across, tap % across, channel});
      GRAFT_UNROLL
      for (int j = 0; j < N; j += 4) {
        if (shape.weight_c == 1) {
          partial.template store_group<4>(first + j, {{v[j], v[j + 1], v[j + 2], v[j + 3]}});
        } else {
          GRAFT_UNROLL
          for (int i = j; i < j + 4; ++i) partial.store(first + i * shape.weight_c, v[i]);
        }
      }
    }
  };
  PixelWindow window;
  Output output;
  template <class T, int columns, class Thread, class Array>
  GRAFT_HD void load(Thread& t, const gpu::TensorMap& dy, const gpu::TensorMap& pixels,
                     const Barriers& barriers, const Array& shared, const StagePlace& place,
                     const TensorTiles::Tile& tile, int step) const {
    constexpr int box = WarpgroupStage<columns>::box;
    GRAFT_UNROLL
    for (int i = 0; i < TensorTiles::rows / 64; ++i)
      copy_box<T>(t, dy, barriers, place.barrier, shared, place.a + i * box, tile.row + 64 * i,
                  step * kWarpgroupStep, 0);
    const int tap = tile.column / output.padded, channel = tile.column % output.padded,
              r = tap / window.columns.taps, s = tap % window.columns.taps;
    GRAFT_UNROLL
    for (int j = 0; j < columns / 64; ++j)
      copy_pixels<T>(t, pixels, barriers, place.barrier, shared, place.b + j * box,
                     window.place(channel + 64 * j, step * kWarpgroupStep, r, s));
  }
};

}  // namespace graft::cuda
