// Philox4x32-10 on host and device: the numbers of core/runtime/random.h at any position of a
// stream.
#pragma once
#include <cstdint>

#include "graft/kernels/cuda/device/host_device.h"

namespace graft::cuda {

struct PhiloxBlock {
  uint32_t a, b, c, d;
  GRAFT_HD uint32_t number(int i) const {
    return i < 2 ? (i == 0 ? a : b) : (i == 2 ? c : d);
  }  // stays in registers
};

// A stream of CountedRandom's: its key, and three words of its counter.
struct PhiloxStream {
  uint32_t key[2], word[3];

  // Numbers 4 * index to 4 * index + 3.
  GRAFT_HD PhiloxBlock block(uint64_t index) const {
    uint32_t c0 = static_cast<uint32_t>(index), c1 = word[0], c2 = word[1],
             c3 = word[2] ^ (static_cast<uint32_t>(index >> 32) << 8);
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      const uint64_t product0 = uint64_t{0xD2511F53u} * c0, product1 = uint64_t{0xCD9E8D57u} * c2;
      c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
      c1 = static_cast<uint32_t>(product1);
      c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
      c3 = static_cast<uint32_t>(product0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
  }
};

}  // namespace graft::cuda
