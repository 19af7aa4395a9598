// Implicit GEMM over an image: output pixels are rows, addressed through a table of pointers to
// input pixels, so that nothing is unfolded in memory. Forward convolution and backward-data (one
// problem an output phase) both run on it. Source of the idea: Dukhan, "The Indirect Convolution
// Algorithm", 2019.
#pragma once
#include <span>
#include <vector>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/moments.h"

namespace graft::cpu {

// Where the packing finds weights: element (n, c, tap) of the matrix [taps][channels][columns] is
// source[n * column_stride + c * channel_stride + tap_offsets[tap]].
template <class T>
struct PackSource {
  const typename ParameterOf<T>::type* source = nullptr;
  int64_t column_stride = 0, channel_stride = 0;
  std::vector<int64_t> tap_offsets;
  int64_t columns = 0, channels = 0;
  int64_t merged = 1;  // as in the problem
  int64_t segments() const { return static_cast<int64_t>(tap_offsets.size()) / merged; }
  int64_t segment() const { return merged * channels; }
};

// Offset of a filter tap from the input pixel under a row's origin.
struct Tap {
  int64_t h, w;
};

// out[n, i, j, :] = finish(sum over taps t and channels c of in[n, i*step_h + t.h, j*step_w + t.w,
// c] * b[t, c, :]). Input pixels outside of [0, in_h) x [0, in_w) are padding.
template <class T>
struct IndirectConv {
  const T* in = nullptr;  // first channel of this problem's group
  int64_t batch = 0, in_h = 0, in_w = 0;
  int64_t in_pixel = 0;  // elements between neighbouring input pixels
  int64_t channels = 0;  // reduced per tap
  std::vector<Tap> taps;
  int64_t step_h = 1, step_w = 1;
  // When > 1: taps are runs of `merged` horizontally adjacent pixels (for few channels); each is
  // one long segment.
  int64_t merged = 1;

  T* out = nullptr;  // element of the grid's first pixel
  int64_t grid_h = 0, grid_w = 0;
  int64_t out_sample = 0, out_row = 0, out_pixel = 0;  // element strides of the grid
  int64_t out_channels = 0;
  const T* packed = nullptr;  // [panels][taps * merged * channels][nr], or null: packed from
                              // `source` panel by panel
  const PackSource<T>* source = nullptr;

  const typename ParameterOf<T>::type* bias = nullptr;  // padded to whole panels, or null
  const T* residual = nullptr;                          // at out's offsets, or null
  Activation activation = Activation::none;
  const MapAttributes* map = nullptr;  // a function of what is stored, not in double; null: none
  T padding{};                         // what input pixels outside of the image hold
  // What becomes of each block of block_rows() output pixels while the cache still has it; null:
  // nothing. Needs out to be dense, and this problem to be all of it. A map needs dense pixels.
  const BlockMoments<typename ParameterOf<T>::type>* moments = nullptr;
  const QuantizedFinish* finish =
      nullptr;  // U8 only, in place of out, bias, residual and activation
};

// Elements of a packed matrix: whole panels of nr columns, zero-filled.
template <class T>
int64_t packed_size(const KernelTable<T>& table, const PackSource<T>& source) {
  return round_up(source.columns, table.nr) * source.segments() *
         round_up(source.segment(), table.k_step);
}

// One panel of nr columns: [tap][channel][nr], in pairs of channels for bfloat16.
template <class T>
void pack_panel(const KernelTable<T>& table, const PackSource<T>& from, int64_t panel, T* to);

// Packs one panel of every source: jobs run in parallel over all of them. packed[i] belongs to
// sources[i].
template <class T>
void pack(ExecContext& context, const KernelTable<T>& table, std::span<const PackSource<T>> sources,
          std::span<T* const> packed);

// Whether so few rows share the weights that each panel had better be packed by the job that uses
// it. Changes no bits.
template <class T>
bool packs_while_running(const IndirectConv<T>& problem);

// Whether a sum of so many terms by float or double stays in registers from its first term to its
// last; in bfloat16 all do.
bool sums_in_one_run(int64_t terms);

// Output pixels of a block, which one job computes for some of the channels or all of them.
template <class T>
int64_t block_rows(const KernelTable<T>& table, const IndirectConv<T>& problem);

// Runs the problems. Each output element is one chain of multiply-adds in the order of taps and
// channels, whatever the split into jobs: bits depend neither on the threads nor on the batch.
template <class T>
void run(ExecContext& context, const KernelTable<T>& table,
         std::span<const IndirectConv<T>> problems);

}  // namespace graft::cpu
