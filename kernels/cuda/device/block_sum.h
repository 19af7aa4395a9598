// Sums and maxima over the threads of a block, always in the same order, so that a launch gives the same bits every time.
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

// Every thread gets the result. `scratch`: 32 floats in shared memory, free again after the call.
template <class Operation, class Thread, class Scratch>
GRAFT_HD float block_reduce(Thread& t, const Scratch& scratch, float value) {
  for (int mask = 16; mask > 0; mask /= 2) value = Operation::of(value, t.exchange(value, mask));
  if (t.lane() == 0) scratch.set(t.thread() / 32, value);
  t.sync();
  float result = Operation::identity;
  for (int warp = 0; warp < t.threads() / 32; ++warp) result = Operation::of(result, scratch.get(warp));
  t.sync();
  return result;
}

}  // namespace graft::cuda
