// Depthwise convolution, one filter a channel, in its three passes. Nothing to multiply as
// matrices: loops along channels, row by row.
#pragma once
#include <vector>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/moments.h"

namespace graft::cpu {

// One input and one output channel a group.
inline bool is_depthwise(const ConvShape& shape) {
  return shape.groups > 1 && shape.group_c() == 1 && shape.group_k() == 1;
}

// Which pixels meet under which taps: output (row, column) of the grid takes input (row * step_h +
// rows[r], column * step_w + columns[s]) where that lies inside. The columns are evenly spaced.
struct DepthwiseGrid {
  int64_t batch, channels, in_h, in_w, grid_h, grid_w;
  int64_t step_h, step_w;
  std::vector<int64_t> rows, columns;
  int64_t out_first, out_pixel, out_row, out_sample;  // elements
};

DepthwiseGrid depthwise_forward_grid(const ConvShape& shape);

// A phase of backward-data: the positions of dx that a stride lets the same taps reach, as a grid
// over dy, and which taps of the filter those are, row by row.
struct DepthwisePhase {
  DepthwiseGrid grid;
  std::vector<int64_t> taps;
};
std::vector<DepthwisePhase> depthwise_data_phases(const ConvShape& shape);

// The weight as [tap][channel].
template <class P>
void pack_depthwise(const ConvShape& shape, const Tensor& weight, P* to);

template <class T>
struct DepthwiseProblem {
  using Parameter = typename ParameterOf<T>::type;
  DepthwiseGrid grid;
  const T* in;
  const Parameter* weight;  // [tap of the grid][C]
  const Parameter* bias;    // [C] or null
  const T* residual;        // laid out like out, or null; may be out
  T* out;
  Activation activation;
  const MapAttributes* map = nullptr;                // as in IndirectConv, of rows that lie dense
  const BlockMoments<Parameter>* moments = nullptr;  // of out, in blocks of depthwise_block_rows
};
// Pixels of a job's output, where the grid's out is one run of memory.
int64_t depthwise_block_rows(const DepthwiseGrid& grid);
// Bits depend neither on the threads nor on the batch.
template <class T>
void run_depthwise(ExecContext& context, const ChannelKernels<T>& kernels,
                   const DepthwiseProblem<T>& problem);

// sums [tap][C] of in's pixels times dy's, which is laid out as the grid's out. Bits depend on the
// shape alone.
template <class T>
void run_depthwise_gradient(ExecContext& context, const ChannelKernels<T>& kernels,
                            const DepthwiseGrid& grid, const T* in, const T* dy,
                            typename ParameterOf<T>::type* sums);

}  // namespace graft::cpu
