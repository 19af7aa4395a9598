// Divisor: division by a number that is known at the launch, as a multiplication and a shift: a GPU
// has no instruction for it. Source: Granlund & Montgomery 1994, "Division by invariant integers
// using multiplication", for dividends below 2^31.
#pragma once
#include <cstdint>

#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

struct Divisor {
  uint32_t divisor = 1, magic = 1;
  int shift = 0;

  // 1 <= divisor < 2^31.
  static Divisor of(int64_t divisor) {
    Divisor d{static_cast<uint32_t>(divisor), 0, 0};
    while ((int64_t{1} << d.shift) < divisor) ++d.shift;
    d.magic = static_cast<uint32_t>((((uint64_t{1} << d.shift) - d.divisor) << 32) / d.divisor + 1);
    return d;
  }
  GRAFT_HD uint32_t quotient(uint32_t value) const {
#ifdef __CUDA_ARCH__
    const uint32_t high = __umulhi(value, magic);
#else
    const auto high = static_cast<uint32_t>(static_cast<uint64_t>(value) * magic >> 32);
#endif
    return (high + value) >> shift;
  }
  GRAFT_HD uint32_t rest(uint32_t value) const { return value - quotient(value) * divisor; }
};

}  // namespace graft::cuda
