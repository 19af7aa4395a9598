// Elements of kernels: 16-byte groups of them, and their conversion to and from float, the type all sums are kept in.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "graft/core/tensor/half.h"
#include "graft/kernels/cuda/device/host_device.h"
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace graft::cuda {

// N neighbours that one instruction moves.
template <class T, int N>
struct alignas(sizeof(T) * N) Group {
  T v[N];
};

// How many elements 16 bytes hold.
template <class T>
inline constexpr int kGroup = 16 / static_cast<int>(sizeof(T));

GRAFT_HD uint32_t bits_of(float value) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(value);
#else
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}
GRAFT_HD float float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

// 1 / sqrt(value); the GPU's is within 2 units of the last place.
GRAFT_HD float inverse_root(float value) {
#ifdef __CUDA_ARCH__
  return rsqrtf(value);
#else
  return 1.f / std::sqrt(value);
#endif
}

GRAFT_HD float to_float(float value) { return value; }
GRAFT_HD float to_float(uint8_t value) { return static_cast<float>(value); }
GRAFT_HD float to_float(bfloat16 value) { return float_of(static_cast<uint32_t>(value.bits) << 16); }
GRAFT_HD float to_float(float16 value) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(value.bits));
#else
  return static_cast<float>(value);
#endif
}

// Rounds to nearest even. The bits are those of core/tensor/half.h on both sides; a NaN may have others.
template <class T>
GRAFT_HD T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    bfloat16 result;
#ifdef __CUDA_ARCH__
    result.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    const uint32_t u = bits_of(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) result.bits = static_cast<uint16_t>((u >> 16) | 0x40u);
    else result.bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
    return result;
  } else {
    static_assert(std::is_same_v<T, float16>);
#ifdef __CUDA_ARCH__
    float16 result;
    result.bits = __half_as_ushort(__float2half_rn(value));
    return result;
#else
    return float16(value);
#endif
  }
}

}  // namespace graft::cuda
