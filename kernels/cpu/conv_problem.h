// A 2-D convolution's arguments as numbers, and the problems that its passes put to the engine.
#pragma once
#include <vector>

#include "graft/kernels/cpu/indirect_conv.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {

struct ConvShape {
  int64_t n, c, h, w;  // input
  int64_t k, p, q;     // output
  int64_t r, s;        // filter
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
  int64_t groups;
  int64_t first_r = 0, first_s = 0;  // of the weight's taps, see without_idle_taps
  int64_t group_c() const { return c / groups; }
  int64_t group_k() const { return k / groups; }

  ConvShape(const Shape& x, const Shape& weight, const Shape& y,
            const ops::ConvAttributes& attributes);
  // The same convolution without the outer rows and columns of the filter that lie in the padding
  // wherever the filter stands: a 3x3 filter on an image of one pixel is one tap.
  ConvShape without_idle_taps() const;
};

// Element strides of a weight [K,C/groups,R,S] in either format.
struct WeightStrides {
  int64_t k, c, r, s;
  explicit WeightStrides(const Tensor& weight);
};

// The engine's passes for arguments that it does not decline; linear uses them too.
void conv_backward_data(ExecContext& context, ops::ConvBackwardDataArgs args);
void conv_backward_weight(ExecContext& context, ops::ConvBackwardWeightArgs args);

// Why the engine leaves a convolution to others, or null. The images are x and y, or their
// gradients; `weight` is null when the pass reads none.
const char* engine_declines_conv(const Tensor& in, const Tensor& out, const Tensor* weight);

// With few channels a tap is too short a run; in memory the taps of a filter row are one.
bool merges_taps(const ConvShape& shape);

// One entry a group.
template <class T>
std::vector<PackSource<T>> forward_sources(const ConvShape& shape, const Tensor& weight);
// Without weights, bias, residual and activation. out is y's memory.
template <class T>
std::vector<IndirectConv<T>> forward_problems(const ConvShape& shape, const T* x, T* y);

// The same for dx = the transposed convolution of dy, in the same order: one entry a group and
// output phase (the rows and columns of dx that a stride lets the same taps reach).
template <class T>
std::vector<PackSource<T>> backward_data_sources(const ConvShape& shape, const Tensor& weight);
template <class T>
std::vector<IndirectConv<T>> backward_data_problems(const ConvShape& shape, const T* dy, T* dx);

// Room for the packed matrices of `sources`: where each starts, and the sum at the end.
template <class T>
std::vector<int64_t> packed_offsets(const KernelTable<T>& table,
                                    const std::vector<PackSource<T>>& sources) {
  std::vector<int64_t> offsets{0};
  for (const PackSource<T>& source : sources)
    offsets.push_back(offsets.back() + packed_size(table, source));
  return offsets;
}

}  // namespace graft::cpu
