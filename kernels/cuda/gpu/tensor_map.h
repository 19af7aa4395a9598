// Tensor maps: descriptions of a tensor of 16-bit elements by which the copy engine (TMA, compute
// capability 9.0) brings boxes of it to shared memory, in rows of 128 bytes with the 128-byte
// swizzle. What lies outside of the tensor comes as zeros.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graft::gpu {

// The driver's form of a map, which only it can read; an argument of a kernel. CUDA 12 wants it at
// 64 bytes, CUDA 13 at 128.
struct alignas(128) TensorMap {
  std::byte opaque[128];
};

// Boxes [box[2], box[1], box[0]] of a dense tensor [sizes[2], sizes[1], sizes[0]]; box[0] is 64,
// sizes[0] a multiple of 8.
struct BoxMap {
  const void* data;  // at a multiple of 16
  int64_t sizes[3];
  int box[3];
};

// Lists of pixels of dense images [n, h, w, c], c a multiple of 8: `pixels` of them, 64 channels of
// each. The list walks w in steps of step_w from lower_w to w - 1 + upper_w, then h likewise, then
// n. A copy adds one offset to all of its pixels.
struct PixelMap {
  const void* data;  // at a multiple of 16
  int64_t c, w, h, n;
  int pixels;
  int lower_w, lower_h, upper_w, upper_h;  // each in [-128, 127]
  int step_w, step_h;                      // from 1 to 8
};

inline constexpr int kBoxRow = 64;  // elements of a row in shared memory: 128 bytes

// Drivers up to CUDA 13.1 set a bit in the map of a tensor of less than 128 KiB that makes the copy
// engine read wrongly; CUTLASS clears it, and so must everybody.
inline void mend_small_tensor(TensorMap& map, int64_t bytes, int driver_version) {
  constexpr int last_wrong = 13010, place = 64 + 21;  // bit 21 of the second 64-bit word
  if (driver_version > last_wrong || bytes >= 128 << 10) return;
  map.opaque[place / 8] &= ~(std::byte{1} << place % 8);
}

}  // namespace graft::gpu
