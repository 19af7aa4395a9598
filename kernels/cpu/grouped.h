// Convolution of narrow groups (as many channels in as out, no more than a register has lanes), in
// its three passes: the groups lie side by side in the lanes, where a product a group would leave
// most of a tile idle.
#pragma once
#include <vector>

#include "graft/kernels/cpu/conv_problem.h"

namespace graft::cpu {

// Which weight a tap of the kernels' grid multiplies: element (k, c) of group g lies at (g * group
// + k) * strides.k + c * strides.c + offset. The lanes are k and the sums run over c; with
// `transposed` the other way round.
struct GroupedTaps {
  std::vector<int64_t> offsets;  // filter row by filter row
  bool transposed = false;
};
GroupedTaps grouped_forward_taps(const ConvShape& shape, const Tensor& weight);

// Whether the kernels take these groups.
bool has_narrow_groups(const ConvShape& shape, int lanes);

// Elements of a packed weight: [channels / lanes][tap][group][lanes], zero-filled.
int64_t grouped_weight_size(const ConvShape& shape, int lanes);
template <class P>
void pack_grouped(ExecContext& context, const ConvShape& shape, const Tensor& weight,
                  const GroupedTaps& taps, int lanes, P* to);

}  // namespace graft::cpu
