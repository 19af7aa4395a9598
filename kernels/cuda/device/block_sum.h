// Sums and maxima over the threads of a block, always in the same order, so that a launch gives the
// same bits every time.
#pragma once
#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

struct Sum {
  static constexpr float identity = 0;
  GRAFT_HD static float of(float a, float b) { return a + b; }
};
struct Maximum {  // a NaN stays
  static constexpr float identity = -3.402823466e+38f;
  GRAFT_HD static float of(float a, float b) { return a != a || a > b ? a : b; }
};

// Shared bytes that block_reduce needs.
inline constexpr int kReduceBytes = 32 * static_cast<int>(sizeof(float));

// Every thread gets the result of combine(a, b) over all values. `scratch`: 32 floats in shared
// memory, free again after the call.
template <class Thread, class Scratch, class Combine>
GRAFT_HD float block_combine(Thread& t, const Scratch& scratch, float value,
                             const Combine& combine) {
  for (int mask = 16; mask > 0; mask /= 2) value = combine(value, t.exchange(value, mask));
  if (t.lane() == 0) scratch.set(t.thread() / 32, value);
  t.sync();
  float result = scratch.get(0);
  for (int warp = 1; warp < t.threads() / 32; ++warp) result = combine(result, scratch.get(warp));
  t.sync();
  return result;
}
template <class Operation, class Thread, class Scratch>
GRAFT_HD float block_reduce(Thread& t, const Scratch& scratch, float value) {
  return block_combine(t, scratch, value, [](float a, float b) { return Operation::of(a, b); });
}

}  // namespace graft::cuda
